// Pixels of one image, packed.
#include "contours.h"

#include "framed.h"
#include "instruction_set.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {

void pack_image(const Image& image, const Frame& frame, uint64_t* plane) {
    std::memset(plane, 0, static_cast<size_t>(frame.words) * sizeof(uint64_t));
    uint64_t* pixels = plane + frame.first_pixel;
    for (int64_t row = 0; row < image.height; ++row)
        pack_row(image.mask + row * image.stride_row, image.width, 0, pixels + row * frame.stride, frame.packed);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
