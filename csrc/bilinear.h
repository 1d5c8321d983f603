// Bilinear resizing along one axis, from `low` numbers to `full` ones, as PyTorch's with align_corners=False.
#pragma once

#include <cstdint>

namespace dislayers {

// The numbers begin[i] to begin[i + 1] - 1 of the full axis lie between i and i + 1 of the low one: number x is
// (1 - weight[x]) * low[i] + weight[x] * low[i + 1]. Behind the last low number stands that number once more.
struct Axis {
    int64_t low, full;
    const int32_t* begin;
    const float* weight;
};

// What must lie before and behind a full row, and before and behind a low one.
constexpr int64_t full_margin = 16, low_margin = 1;

}  // namespace dislayers
