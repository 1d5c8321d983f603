// Weighted F-measure of predictions: the weighted errors of each row, then a score of each image.
//
// The error of a pixel is |p - t|. A foreground pixel counts with its own error or with the blurred error around it,
// whichever is less; in the blur a background pixel stands for the foreground pixel nearest to it. A background pixel
// counts with its error times a weight that grows with its distance from the foreground, and stays 2 in float64 from a
// distance of 255 on but for its last bits. So only pixels with an error need anything, and a distance or a nearest
// pixel only near them.
#pragma once

#include "near.h"
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

// What all rows share: a separable gaussian from its middle on, and the weights of background pixels by their squared
// distances in 16 bits.
constexpr int64_t blur_radius = 3, blurred_rows = 2 * blur_radius + 1;
struct Weights {
    double gaussian[blur_radius + 1];
    const double* background;
};

namespace {

inline Sought foreground(const WeightedF& task) {
    return {task.truth, task.batch, task.height, task.width, true};
}

// Numbers of 64 bits that a band of rows needs: bytes for each of its rows, and numbers for those in the blur's window.
inline int64_t weighing_words(int64_t rows, int64_t width) {
    const int64_t of_bytes = rows + 3 * blurred_rows, of_numbers = blurred_rows + 2, lines = 8 * 40;
    return (of_bytes / 8 + 1 + of_numbers) * padded(width) + heights_of(width) / 2 + 4 * words_of(width) + lines;
}

}  // namespace

}  // namespace dislayers
