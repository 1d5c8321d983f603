// Pixels of one image, packed.
#include "contours.h"

#include "framed.simd.h"
#include "instruction_set.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {

void pack_image(const Image& image, const Frame& frame, uint64_t* plane) {
    pack_plane(image.mask, image.stride_row, frame, plane);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
