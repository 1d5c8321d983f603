// Distance transforms on the CPU: bands of rows over threads.
#include <limits>

#include "api.h"
#include "bands.h"
#include "instruction_set.h"

namespace dislayers {

VARIANTS(pass_false_rows, const DistanceTransform& task, int64_t image, int64_t first, int64_t last, bool down,
         int32_t* rows)
VARIANTS(transform_band, const DistanceTransform& task, int64_t image, int64_t first, int64_t last,
         const int32_t* above, const int32_t* below, int64_t* workspace)

namespace {

void fill_without_false(const DistanceTransform& task, int64_t first, int64_t last) {
    const int64_t start = first * task.width, pixels = (last - first) * task.width;
    std::fill_n(task.distance + start, pixels, std::numeric_limits<float>::infinity());
    if (task.index) std::fill_n(task.index + start, pixels, int64_t(-1));
}

}  // namespace

void distance_transform_cpu(const DistanceTransform& task, int64_t threads, int instruction_set) {
    const Bands bands(false_pixels(task), 0, threads);
    const Workspace<int64_t> workspace(bands.workers(), band_words(bands.rows(), task.width));
    bands.find([&](int64_t image, int64_t first, int64_t last, bool down, int32_t* rows) {
        pass_false_rows_variants[instruction_set](task, image, first, last, down, rows);
    });
    bands.for_each([&](int64_t worker, int64_t image, int64_t band, int64_t first, int64_t last) {
        if (bands.has_any(image)) {
            transform_band_variants[instruction_set](task, image, first, last, bands.above(image, band),
                                                     bands.below(image, band), workspace.of(worker));
        } else {
            fill_without_false(task, image * task.height + first, image * task.height + last);
        }
    });
}

}  // namespace dislayers
