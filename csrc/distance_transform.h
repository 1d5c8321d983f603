// Exact Euclidean distances of the true pixels of binary images to the nearest false one.
#pragma once

#include "nearest.h"

namespace dislayers {

// `distance` and `index` are dense, `index` may be null. A pixel's index is row * width + column of the nearest false
// pixel; of equally near ones that with the smallest column, then the smallest row.
struct DistanceTransform {
    Masks mask;
    float* distance;
    int64_t* index;
    int64_t batch, height, width;
};

namespace {

inline Sought false_pixels(const DistanceTransform& task) {
    return {task.mask, task.batch, task.height, task.width, false};
}

// Stands for the distance within a column that has no false pixel: such a column is never the best one.
inline int64_t too_far(const DistanceTransform& task) { return task.height + task.width; }

// Numbers of 64 bits that a band of rows needs.
inline int64_t band_words(int64_t rows, int64_t width) {
    return (rows + 1) * row_stride(width) / 2 + 5 * row_stride(width);
}

}  // namespace

}  // namespace dislayers
