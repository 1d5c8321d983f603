// Images as tensors hold them: with unit stride between columns, strides in elements.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace dislayers {

// Bytes, nonzero = true.
struct Masks {
    const uint8_t* pixels;
    int64_t stride_batch, stride_row;
};

enum class Values { uint8, float32, float64 };

struct Predictions {
    const void* pixels;
    Values values;
    int64_t stride_batch, stride_row;
};

namespace {

HOST_DEVICE const uint8_t* row_of(const Masks& masks, int64_t image, int64_t row) {
    return masks.pixels + image * masks.stride_batch + row * masks.stride_row;
}

template <typename Value>
HOST_DEVICE const Value* row_of(const Predictions& predictions, int64_t image, int64_t row) {
    const Value* pixels = static_cast<const Value*>(predictions.pixels);
    return pixels + image * predictions.stride_batch + row * predictions.stride_row;
}

}  // namespace
}  // namespace dislayers
