// Batch normalisation in training, ReLU, a residual and 2x2 max-pooling; and their gradient from the input alone.
#pragma once

#include "feature_map.h"

namespace dislayers {

// Maps that are not wanted have no data. All have channels side by side (`channels_last`), or all have columns.
struct BatchNormRelu {
    FeatureMap x, residual, out, pooled, d_out, d_pooled, d_x, d_residual;
    const float *weight, *bias;
    float *mean, *variance, *d_weight, *d_bias;
    double eps;
    Precision precision;  // of the maps' own dtype: windows tie as their rounded values do
    int64_t batch, channels, height, width;
    bool channels_last;
};

// What the passes know of each channel: out = relu((x - mean) scale + bias) + residual, and for the gradient g at the
// ReLU's input d_x = scale g + slope (x - mean) + offset.
struct ChannelParameters {
    const float *mean, *scale, *bias, *slope, *offset;
};

// Rows and columns of a sample: of pixels, or of windows under pooling; of one channel, or of all if they come last.
struct NormPatch {
    int64_t sample, channel, top, bottom, left, right;
};

}  // namespace dislayers
