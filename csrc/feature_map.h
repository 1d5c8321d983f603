// Feature maps as tensors hold them.
#pragma once

#include <cstdint>

namespace dislayers {

// What numbers are rounded to: how many bits of float32's they lack.
enum class Precision : int { float32 = 0, float16 = 13, bfloat16 = 16 };

// (batch, channels, height, width) in float32; its channels or its columns lie side by side.
struct FeatureMap {
    float* data;
    int64_t batch_stride, channel_stride, row_stride, column_stride;
};

}  // namespace dislayers
