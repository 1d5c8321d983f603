// Rows of a band, after the nearest false rows above and below the band have been found for every column.
#include "distance_transform.h"

#include <math.h>

#include "instruction_set.h"
#include "nearest.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Roots, correctly rounded: below 2^24 a float holds the square itself.
template <typename T>
void take_roots(const T* __restrict squares, int64_t width, float* __restrict roots) {
    T largest = 0;
    for (int64_t x = 0; x < width; ++x) largest = squares[x] > largest ? squares[x] : largest;
    if (largest < 1 << 24) {
        for (int64_t x = 0; x < width; ++x) roots[x] = sqrtf(static_cast<float>(squares[x]));
    } else {
        for (int64_t x = 0; x < width; ++x) roots[x] = static_cast<float>(sqrt(static_cast<double>(squares[x])));
    }
}

template <typename T>
void transform_rows(const DistanceTransform& task, int64_t image, int64_t first, int64_t last, const int32_t* above,
                    const int32_t* below, int64_t* workspace) {
    const Sought sought = false_pixels(task);
    const int64_t width = task.width, stride = row_stride(width);
    int32_t* passed = reinterpret_cast<int32_t*>(workspace);
    int32_t* nearest = passed + stride;
    T* heights = reinterpret_cast<T*>(nearest + (last - first) * stride);
    T *squares = heights + stride, *columns = squares + stride;
    T* const bounds[2] = {columns + stride, columns + 2 * stride};

    for (int64_t row = last - 1; row >= first; --row) {
        int32_t* now = nearest + (row - first) * stride;
        pass(sought, image, row, row + 1 < last ? now + stride : below, now);
    }
    memcpy(passed, above, static_cast<size_t>(width) * sizeof(int32_t));
    for (int64_t row = first; row < last; ++row) {
        int32_t* now = nearest + (row - first) * stride;
        const int64_t start = (image * task.height + row) * width;
        pass(sought, image, row, passed, passed);
        join(passed, row, width, now);
        find_heights(now, row, width, too_far(task), heights);
        solve(heights, width, bounds, squares, columns, [](int64_t, int64_t) { return true; });
        take_roots(squares, width, task.distance + start);
        if (!task.index) continue;
        for (int64_t x = 0; x < width; ++x) task.index[start + x] = now[columns[x]] * width + columns[x];
    }
}

}  // namespace

// Passes over rows [first, last) of an image, downwards or upwards: the last row passed that is false, in each column.
void pass_false_rows(const DistanceTransform& task, int64_t image, int64_t first, int64_t last, bool down,
                     int32_t* rows) {
    pass_all(false_pixels(task), image, first, last, down, rows);
}

// Rows [first, last) of an image: `above` and `below` have each column's nearest false row outside the band.
void transform_band(const DistanceTransform& task, int64_t image, int64_t first, int64_t last, const int32_t* above,
                    const int32_t* below, int64_t* workspace) {
    if (fits_32_bits(task.width, too_far(task))) {
        transform_rows<int32_t>(task, image, first, last, above, below, workspace);
    } else {
        transform_rows<int64_t>(task, image, first, last, above, below, workspace);
    }
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
