// The Laplacian boundary loss of planes, BCE(D(p), D(t)) with D(f) = |tanh(K * f)|, and its gradient.
#pragma once

#include "images.h"

namespace dislayers {

// K is 8 amid -1, or with `cross` 4 amid four -1; D is the positive part of tanh without `absolute`.
struct Boundary {
    Predictions values;  // float32: logits, or probabilities
    Predictions target;  // uint8 (0 or 1) or float32
    int64_t planes, height, width;
    bool logits, absolute, cross;
};

// `losses` is (planes): the sums over their pixels.
struct BoundaryLoss {
    Boundary boundary;
    double* losses;
};

// `scales` is (planes): what the gradients of a plane's sum are multiplied with; `gradient` is dense.
struct BoundaryGradient {
    Boundary boundary;
    const float* scales;
    float* gradient;
};

// Scratch memory of a band: so many rows, each with zeros on either side and up to a multiple of a vector.
constexpr int64_t boundary_rows = 13, boundary_lanes = 32;

namespace {

HOST_DEVICE int64_t boundary_stride(int64_t width) { return width + 2 + boundary_lanes; }

}  // namespace
}  // namespace dislayers
