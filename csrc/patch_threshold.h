// The best threshold of each patch of a map.
#pragma once

#include "images.h"

namespace dislayers {

// `threshold` and `iou` are dense, (batch, height / side, width / side), and so is `mask`, (batch, height, width).
struct PatchThresholds {
    Predictions probability;
    Masks truth;
    float* threshold;
    float* iou;
    uint8_t* mask;
    int64_t batch, height, width, side;
    bool nearest_half, both_classes, literal;
};

// Where a patch has its first pixel.
struct Patch {
    int64_t image, top, left;
};

// k / 20 rounded down to the precision of each type of values, which exceed the one exactly where they exceed the other.
struct Levels {
    static constexpr int count = 20;
    uint8_t of_uint8[count];
    float of_float32[count];
    double of_float64[count];
};

// A pixel's code is twice the number of levels that it exceeds, and 1 more where the truth is true. This is how often
// each occurs in a patch.
struct CodeCounts {
    static constexpr int codes = 2 * (Levels::count + 1);
    int64_t of[codes];
};

}  // namespace dislayers
