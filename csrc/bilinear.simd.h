// Rows resized bilinearly, and the adjoint of that. Where the full row is 1, 2, 4 or 8 times as long as the low one,
// weights are constants, and the compiler makes vectors over low numbers.
#pragma once

#include "bilinear.h"

namespace dislayers {
namespace {

template <int ratio>
constexpr float weight_of_place(int place) {
    return (static_cast<float>(place) + (ratio % 2 ? 0.0f : 0.5f)) / ratio;
}

// Low numbers stand at -1 and `count` too: the first and the last once more.
template <int ratio>
void resize_by(const float* __restrict low, int64_t count, float* __restrict full) {
    for (int64_t i = -1; i < count; ++i) {
        const float left = low[i], right = low[i + 1];
        float* between = full + ratio * i + ratio / 2;
#pragma GCC unroll 8
        for (int place = 0; place < ratio; ++place) {
            const float weight = weight_of_place<ratio>(place);
            between[place] = (1.0f - weight) * left + weight * right;
        }
    }
}

// What low numbers -1 to `count` get; the margins of the full row are 0.
template <int ratio>
void gather_by(const float* __restrict full, int64_t count, float* __restrict low) {
    for (int64_t i = -1; i <= count; ++i) {
        const float* between = full + ratio * i + ratio / 2;
        float sum = 0;
#pragma GCC unroll 8
        for (int place = 0; place < ratio; ++place) {
            const float weight = weight_of_place<ratio>(place);
            sum += (1.0f - weight) * between[place] + weight * between[place - ratio];
        }
        low[i] = sum;
    }
}

void resize_between(const Axis& axis, const float* __restrict low, float* __restrict full) {
    for (int64_t i = 0; i < axis.low; ++i) {
        const float left = low[i], right = low[i + 1];
        for (int64_t x = axis.begin[i]; x < axis.begin[i + 1]; ++x)
            full[x] = (1.0f - axis.weight[x]) * left + axis.weight[x] * right;
    }
}

void gather_between(const Axis& axis, const float* __restrict full, float* __restrict low) {
    float from_left = 0;
    for (int64_t i = 0; i < axis.low; ++i) {
        float sum = from_left;
        from_left = 0;
        for (int64_t x = axis.begin[i]; x < axis.begin[i + 1]; ++x) {
            sum += (1.0f - axis.weight[x]) * full[x];
            from_left += axis.weight[x] * full[x];
        }
        low[i] = sum;
    }
    low[axis.low] = from_left;
}

// The full row of a low one; `padded` is room for the low row with its margins.
void resize(const Axis& axis, const float* row, float* padded, float* full) {
    float* low = padded + low_margin;
    for (int64_t i = 0; i < axis.low; ++i) low[i] = row[i];
    low[-1] = row[0];
    low[axis.low] = row[axis.low - 1];
    if (axis.full == axis.low) return resize_by<1>(low, axis.low, full);
    if (axis.full == 2 * axis.low) return resize_by<2>(low, axis.low, full);
    if (axis.full == 4 * axis.low) return resize_by<4>(low, axis.low, full);
    if (axis.full == 8 * axis.low) return resize_by<8>(low, axis.low, full);
    resize_between(axis, low, full);
}

// The adjoint: what the numbers of the low row get from a full one, of which the margins are 0.
void gather(const Axis& axis, const float* full, float* padded, float* row) {
    float* low = padded + low_margin;
    low[-1] = 0;
    if (axis.full == axis.low) {
        gather_by<1>(full, axis.low, low);
    } else if (axis.full == 2 * axis.low) {
        gather_by<2>(full, axis.low, low);
    } else if (axis.full == 4 * axis.low) {
        gather_by<4>(full, axis.low, low);
    } else if (axis.full == 8 * axis.low) {
        gather_by<8>(full, axis.low, low);
    } else {
        gather_between(axis, full, low);
    }
    low[0] += low[-1];
    low[axis.low - 1] += low[axis.low];
    for (int64_t i = 0; i < axis.low; ++i) row[i] = low[i];
}

}  // namespace
}  // namespace dislayers
