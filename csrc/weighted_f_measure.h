// Weighted F-measure of predictions: the weighted errors of each row, then a score of each image.
//
// The error of a pixel is |p - t|. A foreground pixel counts with its own error or with the blurred error around it,
// whichever is less; in the blur a background pixel stands for the foreground pixel nearest to it. A background pixel
// counts with its error times a weight that grows with its distance from the foreground. So only pixels with an error
// need anything, and a distance or a nearest pixel only near them.
#pragma once

#include "nearest.h"

namespace dislayers {

// `range` has the two predictions of each image that become 0 and 1; where they are equal, all stay as they are.
// `scores` is dense.
struct WeightedF {
    Predictions pred;
    Masks truth;
    const double* range;
    double* scores;
    int64_t batch, height, width;
    double beta_squared;
};

// What a row adds up to.
struct RowErrors {
    double missed, false_positives;
    int64_t foreground;
};

// What all rows share: a separable gaussian, and the weight of a background pixel by its squared distance.
constexpr int64_t blur_radius = 3;
struct Weights {
    double gaussian[2 * blur_radius + 1];
    const double* background;
    int64_t last;
};

namespace {

// From here on the weight is 2 in float64.
constexpr int64_t farthest = 266;
constexpr int64_t block = 16;
constexpr int64_t blurred_rows = 2 * blur_radius + 1;

inline Sought foreground(const WeightedF& task) {
    return {task.truth, task.batch, task.height, task.width, true};
}

inline int64_t blocks_of(int64_t width) { return (width + block - 1) / block; }

// Numbers of 64 bits that a band of rows needs: whole cache lines for each of its arrays.
inline int64_t weighing_words(int64_t rows, int64_t width) {
    const int64_t stride = row_stride(width), of_32_bits = rows + 2 * blur_radius + 1, lines = 8 * 40;
    return of_32_bits * stride / 2 + (5 + 2 * blurred_rows) * stride + (blurred_rows + 1) * (block + blocks_of(width)) + lines;
}

}  // namespace

}  // namespace dislayers
