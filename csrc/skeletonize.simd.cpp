// The skeleton of one image, from bytes to bytes.
#include "skeletonize.h"

#include "framed.simd.h"
#include "instruction_set.h"
#include "skeletonize.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {

// One image of the batch; `words` are as many as `thinning_words` says, aligned for any vector.
void skeletonize_image(const Thinning& task, int64_t image, uint64_t* words) {
    const Frame frame = framed(task.height, task.width);
    pack_plane(row_of(task.mask, image, 0), task.mask.stride_row, frame, words);
    thin(frame, words);
    const uint64_t* pixels = words + frame.first_pixel;
    uint8_t* out = task.out + image * task.height * task.width;
    for (int64_t row = 0; row < task.height; ++row)
        unpack_row(pixels + row * frame.stride, task.width, 0, out + row * task.width);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
