// What a patch adds to the statistics of channels; for `<op>.simd.cpp` only.
#pragma once

#include "norm_patch.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Sums of x - shift and of their squares. A number far from the others costs digits of few: those that one sum takes
// before it goes to the whole.
struct Summation {
    static constexpr int64_t steps_of_a_sum = 64;
    const BatchNormRelu& task;
    const float* shift;
    Sums sums;

    template <bool last, int vectors, bool edge>
    void run(const Strip& strip) {
        Lanes from[vectors], sum[vectors], squares[vectors];
        for (int64_t v = 0; v < vectors; ++v) from[v] = parameter<last, edge>(shift, strip, v);
        const float* x = strip.in(task.x, 1);
        const int64_t step = last ? task.x.column_stride : vectors * lanes;
        for (int64_t i = 0; i < strip.steps;) {
            for (int64_t v = 0; v < vectors; ++v) sum[v] = squares[v] = Lanes{};
            const int64_t end = strip.steps - i < steps_of_a_sum ? strip.steps : i + steps_of_a_sum;
            for (; i < end; ++i, x += step)
                for (int64_t v = 0; v < vectors; ++v) {
                    Lanes shifted = minus(load<edge>(x + v * lanes, strip.count), from[v]);
                    if (edge && !last) shifted = keep_first(shifted, strip.count, 0);
                    sum[v] += shifted;
                    squares[v] = multiply_add(shifted, shifted, squares[v]);
                }
            for (int64_t v = 0; v < vectors; ++v) {
                sums.set<last, edge>(0, strip, v, sums.get<last, edge>(0, strip, v) + sum[v]);
                sums.set<last, edge>(1, strip, v, sums.get<last, edge>(1, strip, v) + squares[v]);
            }
        }
    }
};

// The middle one of three pixels, so that one far from the others is not what all are shifted by.
template <bool last>
void find_shift(const BatchNormRelu& task, const NormPatch& patch, float* shift) {
    const auto pixel = [&](int64_t row, int64_t column) {
        return Strip{patch.sample, patch.channel, row, column, 1, lanes, lanes, true}.in(task.x, 1);
    };
    const float *a = pixel(patch.top, patch.left), *c = pixel(patch.bottom - 1, patch.right - 1);
    const float* b = pixel((patch.top + patch.bottom) / 2, (patch.left + patch.right) / 2);
    for (int64_t i = 0; i < (last ? task.channels : 1); ++i) {
        const float low = a[i] < b[i] ? a[i] : b[i], high = a[i] < b[i] ? b[i] : a[i];
        const float below = high < c[i] ? high : c[i];
        shift[patch.channel + i] = low < below ? below : low;
    }
}

template <bool last>
void sum_patch(const BatchNormRelu& task, const NormPatch& patch, float* sums) {
    find_shift<last>(task, patch, sums);
    Summation summation = {task, sums, {sums + task.channels, task.channels, {}}};
    summation.sums.start(patch.channel, last);
    for_each_strip<last>(task, patch, summation);
    summation.sums.finish(patch.channel, last);
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
