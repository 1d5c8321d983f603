// Depthwise convolutions and their gradients, a channel in each lane: along rows and down columns they are the same
// loop with another stride. For `<op>.simd.cpp` only.
#pragma once

#include "lanes.simd.h"
#include "multiscale_conv_attention.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr int64_t block = block_of_outputs;

// Adds the convolution of numbers `stride` apart to a block of results as far apart.
inline void convolve(Lanes (&sums)[block], const Lanes* in, int64_t stride, const Lanes* weights, int64_t direction,
                     int64_t taps) {
    for (int64_t t = 0; t < taps; ++t) {
        const Lanes weight = weights[t * direction];
#pragma GCC unroll 8
        for (int64_t i = 0; i < block; ++i) sums[i] += in[(t + i) * stride] * weight;
    }
}

// out[x] = start[x] + the sum of lines[j][x + t] weights[j][t]; weights run backwards for direction -1, and `start` is
// one number for all where its stride is 0. Whole blocks are written.
void convolve_row(Lanes* out, int64_t columns, const Lanes* start, int64_t start_stride, const Lanes* in, int64_t pitch,
                  int64_t lines, const Lanes* weights, int64_t direction, int64_t taps) {
    for (int64_t x = 0; x < columns; x += block) {
        Lanes sums[block];
        for (int64_t i = 0; i < block; ++i) sums[i] = start[(x + i) * start_stride];
        for (int64_t j = 0; j < lines; ++j)
            convolve(sums, in + j * pitch + x, 1, weights + j * taps * direction, direction, taps);
        for (int64_t i = 0; i < block; ++i) out[x + i] = sums[i];
    }
}

// The same down the columns, for a block of rows.
void convolve_columns(Lanes* out, int64_t out_pitch, int64_t columns, const Lanes* start, int64_t start_pitch,
                      int64_t start_stride, Lanes bias, const Lanes* in, int64_t pitch, const Lanes* weights,
                      int64_t direction, int64_t taps) {
    for (int64_t x = 0; x < columns; ++x) {
        Lanes sums[block];
        for (int64_t i = 0; i < block; ++i) sums[i] = start[i * start_pitch + x * start_stride] + bias;
        convolve(sums, in + x, pitch, weights, direction, taps);
        for (int64_t i = 0; i < block; ++i) out[i * out_pitch + x] = sums[i];
    }
}

// Pairs of numbers: `inner` of them `stride` apart, `outer` times that at the pitches.
struct Pairs {
    const Lanes* gradient;
    int64_t gradient_stride, gradient_pitch;
    const Lanes* in;
    int64_t stride, pitch;
    int64_t inner, outer;
};

// totals[t] += the sum of gradient[p] in[p + t].
template <int64_t taps>
void correlate_taps(const Pairs& pairs, Lanes* totals, int64_t direction) {
    Lanes sums[taps] = {};
    for (int64_t o = 0; o < pairs.outer; ++o) {
        const Lanes* gradient = pairs.gradient + o * pairs.gradient_pitch;
        const Lanes* in = pairs.in + o * pairs.pitch;
        for (int64_t p = 0; p < pairs.inner; ++p) {
            const Lanes factor = *gradient;
#pragma GCC unroll 16
            for (int64_t t = 0; t < taps; ++t) sums[t] += in[t * pairs.stride] * factor;
            gradient += pairs.gradient_stride;
            in += pairs.stride;
        }
    }
    for (int64_t t = 0; t < taps; ++t) totals[t * direction] += sums[t];
}

void correlate(Pairs pairs, Lanes* totals, int64_t direction, int64_t taps) {
    constexpr int64_t at_once = 8;
    int64_t groups = (taps + at_once - 1) / at_once;
    while (taps > 0) {
        const int64_t now = (taps + groups - 1) / groups;
        switch (now) {
            case 1: correlate_taps<1>(pairs, totals, direction); break;
            case 2: correlate_taps<2>(pairs, totals, direction); break;
            case 3: correlate_taps<3>(pairs, totals, direction); break;
            case 4: correlate_taps<4>(pairs, totals, direction); break;
            case 5: correlate_taps<5>(pairs, totals, direction); break;
            case 6: correlate_taps<6>(pairs, totals, direction); break;
            case 7: correlate_taps<7>(pairs, totals, direction); break;
            default: correlate_taps<8>(pairs, totals, direction);
        }
        pairs.in += now * pairs.stride;
        totals += now * direction;
        taps -= now;
        --groups;
    }
}

void add_up(const Lanes* values, int64_t pitch, int64_t columns, int64_t rows, Lanes& total) {
    Lanes sum = {};
    for (int64_t y = 0; y < rows; ++y)
        for (int64_t x = 0; x < columns; ++x) sum += values[y * pitch + x];
    total += sum;
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
