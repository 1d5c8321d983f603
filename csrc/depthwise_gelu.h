// The GELU of a depthwise 3x3 convolution: gelu(a) with a = conv(x).
#pragma once

#include "feature_map.h"

namespace dislayers {

struct DepthwiseGelu {
    FeatureMap x, gradient, out;  // out is the GELU, or the gradient of x; only that needs a gradient of the GELU
    const float* weight;          // (channels, 3, 3), dense
    const float* bias;            // (channels)
    float* weight_gradient;       // likewise; null forward
    float* bias_gradient;
    int64_t batch, channels, height, width;
};

// What a task computes: rows top to bottom - 1 of some channels of a sample.
struct HiddenBand {
    int64_t sample, channel, channels, top, bottom;
    float* sums;  // (vectors of channels, 9 weights and the bias, lanes): what this band gives to them; null forward
};

// Outputs in a row that are computed at once, in registers.
constexpr int64_t outputs_of_a_block = 8;

constexpr int64_t taps_of_hidden = 9, parameters_of_hidden = taps_of_hidden + 1;

namespace {

// Vectors of so many channels.
constexpr int64_t vectors_of(int64_t channels, int64_t lanes) { return (channels + lanes - 1) / lanes; }

// Columns of a row of whole blocks between two more columns.
constexpr int64_t framed_columns(int64_t width) {
    return (width + outputs_of_a_block - 1) / outputs_of_a_block * outputs_of_a_block + 2;
}

// Vectors from one column to the next: an odd number, so that columns do not share the places of a cache.
constexpr int64_t hidden_pitch(int64_t vectors) { return vectors | 1; }

// Vectors that suffice for the parameters of a band, a block and a row of outputs, and three rows of each of so many
// maps.
constexpr int64_t room_of_band(int64_t vectors, int64_t width, int64_t maps) {
    return vectors * parameters_of_hidden +
           (outputs_of_a_block + width + 3 * maps * framed_columns(width)) * hidden_pitch(vectors);
}

}  // namespace

}  // namespace dislayers
