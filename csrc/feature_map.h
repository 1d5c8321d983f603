// Feature maps as tensors hold them.
#pragma once

#include <cstdint>

namespace dislayers {

// (batch, channels, height, width) in float32; its channels or its columns lie side by side.
struct FeatureMap {
    float* data;
    int64_t batch_stride, channel_stride, row_stride, column_stride;
};

}  // namespace dislayers
