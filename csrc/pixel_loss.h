// Losses that sum terms over the pixels of each sample, and their slopes.
#pragma once

#include <cstdint>

#include "pixel_formulas.h"

namespace dislayers {

// Samples are stretches of memory that may lie apart; strides in elements.
struct PixelLoss {
    Formula formula;
    bool probabilities;
    float options[most_options];
    float ignore_label;  // NaN: all pixels count
    const float* prediction;
    const void* target;  // of bytes or of float32
    bool target_of_bytes;
    int64_t prediction_stride, target_stride;
    int64_t batch, pixels;
};

// `sums` is dense, (batch, sums of the formula); what is there already is added to.
struct PixelSums {
    PixelLoss loss;
    double* sums;
};

// `coefficients` is dense, (batch, coefficients of the formula), and already times the gradient of the sample's loss.
struct PixelSlopes {
    PixelLoss loss;
    const float* coefficients;
    float* slopes;
    int64_t slopes_stride;
};

// A task of a thread is so many pixels of a sample. Sums of tasks are added in their order, so that the number of
// threads changes nothing.
constexpr int64_t pixels_of_a_task = 1 << 14;

}  // namespace dislayers
