// Exact Euclidean distances of the true pixels of binary images to the nearest false one.
//
// First by columns: the row of the nearest false pixel above and below. Then by rows: pixel x takes the column j with the
// smallest (x - j)^2 + g_j^2, where g_j is the distance within column j. Less x^2, which all columns share, that is
// (j^2 + g_j^2) - 2 x j: a height of each column, and one addition a step. The best column never moves left as x grows,
// so pixels between two others only try the columns between the best ones of those.
#pragma once

#include <cstdint>

namespace dislayers {

// Images of bytes, nonzero = true, with unit stride between columns; `distance` and `index` are dense, `index` may be
// null. A pixel's index is row * width + column of the nearest false pixel; of equally near ones that with the smallest
// column, then the smallest row.
struct DistanceTransform {
    const uint8_t* mask;
    float* distance;
    int64_t* index;
    int64_t batch, height, width;
    int64_t mask_stride_batch, mask_stride_row;
};

namespace {

// Stands for the distance within a column that has no false pixel: such a column is never the best one.
inline int64_t too_far(const DistanceTransform& task) { return task.height + task.width; }

// Whether everything that is compared fits 32 bits: up to images of about 20000 x 20000.
inline bool fits_32_bits(const DistanceTransform& task) {
    const int64_t far = too_far(task);
    return far < 46341 && far * far + task.width * task.width <= INT32_MAX;
}

// Elements of a row in the workspace: whole vectors, and one vector more.
inline int64_t row_stride(int64_t width) { return (width + 15) / 16 * 16 + 16; }

// Numbers of 64 bits that a band of rows needs.
inline int64_t band_words(int64_t rows, int64_t width) { return (rows + 1) * row_stride(width) / 2 + 5 * row_stride(width); }

}  // namespace

}  // namespace dislayers
