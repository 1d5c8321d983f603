// Bands of images from bytes to skeletons in bytes.
#include "skeletonize.h"

#include "framed.simd.h"
#include "instruction_set.h"
#include "skeletonize.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {

// `first_row` is the image's row where the band begins, its halo included.
void pack_band(const Thinning& task, int64_t image, int64_t first_row, const Band& band) {
    pack_plane(row_of(task.mask, image, first_row), task.mask.stride_row, band.frame, band.words);
    start_thinning(band);
}

// `removing` becomes false where the last two sub-iterations removed nothing.
void thin_band(const Band& band, int64_t sub_iterations, bool& removing) { removing = thin(band, sub_iterations); }

void unpack_band(const Thinning& task, int64_t image, int64_t first_row, const Band& band) {
    const uint64_t* pixels = band.words + band.frame.first_pixel;
    uint8_t* out = task.out + (image * task.height + first_row) * task.width;
    for (int64_t row = band.above; row < band.frame.height - band.below; ++row)
        unpack_row(pixels + row * band.frame.stride, task.width, 0, out + row * task.width);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
