// The loss of side outputs against a target, straight from their low resolutions.
#pragma once

#include "bilinear.h"
#include "pixel_formulas.h"

namespace dislayers {

// Dense maps (batch, height, width); the gradient is written.
struct SideOutput {
    const float* logits;
    float* gradient;
    int64_t height, width;
};

struct DeepSupervision {
    const SideOutput* sides;
    int64_t count, batch, height, width;
    const void* target;  // (batch, height, width), dense, of bytes or of float32
    bool target_of_bytes;
    Formula formula;
    float options[most_options];
    float ignore_label;         // NaN: all pixels count
    double* sums;               // (count, batch, sums of the formula)
    const float* coefficients;  // (count, batch, coefficients of the formula)
};

// The rows of a sample between the low rows `first` and `last` of a side output. It alone writes the gradients of the
// low rows first to last - 1, and what it adds to row `last` stands in `seam`.
struct SideBand {
    SideOutput side;  // of this sample
    Axis rows, columns;
    int64_t sample, first, last;
    int64_t result;  // place of side output and sample among the results
    double* sums;
    float* seam;
};

// Pixels that are computed at once.
constexpr int64_t supervision_lanes = 32;

namespace {

// Floats of a row of full resolution, with margins and lanes that nothing is in, in whole lines of the cache.
constexpr int64_t supervision_row(int64_t width) {
    return (width + supervision_lanes + 2 * full_margin + 15) / 16 * 16;
}

}  // namespace

}  // namespace dislayers
