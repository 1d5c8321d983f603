// Patches of maps in vectors, by pixels or by 2x2 windows; for `<op>.simd.cpp` only. Vectors hold channels where these
// come last, else columns; parameters and sums of channels do likewise.
#pragma once

#include "batch_norm_relu.h"
#include "partial_lanes.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr int most_vectors = 4;

// Vectors that a kernel takes in a row of pixels, or of windows; of the last one only `count` numbers are there, and of
// its odd columns `odd`.
struct Strip {
    int64_t sample, channel, row, column, steps, count, odd;
    bool below;  // whether windows have a lower row

    float* in(const FeatureMap& map, int64_t side) const {
        if (!map.data) return nullptr;
        return map.data + sample * map.batch_stride + channel * map.channel_stride + side * row * map.row_stride +
               side * column * map.column_stride;
    }
};

// Walks a patch by strips: kernel.run<channels come last, vectors a step, whether some numbers lack>(strip).
template <bool last, typename Kernel>
void for_each_strip(const BatchNormRelu& task, const NormPatch& patch, Kernel& kernel) {
    Strip strip = {patch.sample, patch.channel, 0, patch.left, patch.right - patch.left, lanes, lanes, true};
    for (strip.row = patch.top; strip.row < patch.bottom; ++strip.row) {
        const int64_t end = last ? task.channels : patch.right;
        int64_t& place = last ? strip.channel : strip.column;
        const auto take = [&](int64_t numbers) {
            if (!last) strip.steps = (end - place) / numbers;
            return end - place >= numbers;
        };
        const auto advance = [&](int64_t numbers) { place += last ? numbers : strip.steps * numbers; };
        place = last ? 0 : patch.left;
        for (; take(most_vectors * lanes); advance(most_vectors * lanes))
            kernel.template run<last, most_vectors, false>(strip);
        for (; take(2 * lanes); advance(2 * lanes)) kernel.template run<last, 2, false>(strip);
        for (; take(lanes); advance(lanes)) kernel.template run<last, 1, false>(strip);
        if (place == end) continue;
        strip.count = end - place;
        if (!last) strip.steps = 1;
        kernel.template run<last, 1, true>(strip);
        strip.count = lanes;
    }
}

// The same by windows: kernel.run_windows<channels come last, whether some numbers lack>(strip).
template <bool last, typename Kernel>
void for_each_window_strip(const BatchNormRelu& task, const NormPatch& patch, Kernel& kernel) {
    const int64_t whole = task.width / 2 < patch.right ? task.width / 2 : patch.right;
    const int64_t end = last ? task.channels : 1;
    Strip strip = {patch.sample, patch.channel, 0, 0, 0, lanes, lanes, true};
    const auto run = [&](int64_t column, int64_t steps, int64_t count, int64_t odd) {
        strip.column = column, strip.steps = steps, strip.count = count, strip.odd = odd;
        if (steps == 0) return;
        if (count == lanes && odd == lanes && strip.below)
            kernel.template run_windows<last, false>(strip);
        else
            kernel.template run_windows<last, true>(strip);
    };
    for (strip.row = patch.top; strip.row < patch.bottom; ++strip.row) {
        strip.below = 2 * strip.row + 1 < task.height;
        if (last) {
            for (strip.channel = 0; strip.channel < end; strip.channel += lanes) {
                const int64_t count = end - strip.channel < lanes ? end - strip.channel : lanes;
                run(patch.left, whole - patch.left, count, count);
                run(whole, patch.right - whole, count, 0);
            }
        } else {
            const int64_t steps = (whole - patch.left) / lanes, column = patch.left + steps * lanes;
            run(patch.left, steps, lanes, lanes);
            run(column, column < patch.right, patch.right - column, whole - column);
        }
    }
}

template <bool edge>
Lanes load(const float* from, int64_t count) {
    return edge ? load_first(from, count) : load_lanes(from);
}

template <bool edge>
void store(float* to, Lanes stored, int64_t count) {
    if (edge)
        store_first(to, stored, count);
    else
        store_lanes(to, stored);
}

// A parameter of the channels of a strip.
template <bool last, bool edge>
Lanes parameter(const float* of_channels, const Strip& strip, int64_t v) {
    if (last) return load<edge>(of_channels + strip.channel + v * lanes, strip.count);
    return broadcast(of_channels[strip.channel]);
}

// Two sums of each channel; where columns are side by side, by lanes until they are told to finish.
struct Sums {
    float* of_channels;
    int64_t channels;
    Lanes own[2][most_vectors];

    template <bool last, bool edge>
    Lanes get(int64_t i, const Strip& strip, int64_t v) const {
        return last ? parameter<last, edge>(of_channels + i * channels, strip, v) : own[i][v];
    }

    template <bool last, bool edge>
    void set(int64_t i, const Strip& strip, int64_t v, Lanes sum) {
        if (last)
            store<edge>(of_channels + i * channels + strip.channel + v * lanes, sum, strip.count);
        else
            own[i][v] = sum;
    }

    void start(int64_t channel, bool last) {
        for (int64_t i = 0; i < 2; ++i) {
            for (Lanes& sum : own[i]) sum = Lanes{};
            const int64_t count = last ? channels : 1;
            memset(of_channels + i * channels + channel, 0, static_cast<size_t>(count) * sizeof(float));
        }
    }

    void finish(int64_t channel, bool last) {
        for (int64_t i = 0; i < 2 && !last; ++i)
            of_channels[i * channels + channel] = total((own[i][0] + own[i][1]) + (own[i][2] + own[i][3]));
    }
};

// The pixels of a window, or vectors of them: two of the upper row, two of the lower. Those that lack are 0.
template <bool last, bool edge>
void load_window(const float* from, const FeatureMap& map, const Strip& strip, Lanes* window) {
    for (int64_t row = 0; row < 2; ++row, from += map.row_stride, window += 2) {
        if (edge && row && !strip.below) {
            window[0] = window[1] = Lanes{};
        } else if (last) {
            window[0] = load<edge>(from, strip.count);
            window[1] = load<edge>(from + map.column_stride, strip.odd);
        } else {
            const int64_t numbers = strip.count + strip.odd, second = numbers - lanes;
            window[0] = load<edge>(from, second > 0 ? lanes : numbers);
            window[1] = load<edge>(from + lanes, second > 0 ? second : 0);
            part(window[0], window[1]);
        }
    }
}

template <bool last, bool edge>
void store_window(float* to, const FeatureMap& map, const Strip& strip, const Lanes* window) {
    for (int64_t row = 0; row < (edge && !strip.below ? 1 : 2); ++row, to += map.row_stride, window += 2) {
        Lanes first = window[0], other = window[1];
        if (last) {
            store<edge>(to, first, strip.count);
            store<edge>(to + map.column_stride, other, strip.odd);
        } else {
            const int64_t numbers = strip.count + strip.odd, second = numbers - lanes;
            join(first, other);
            store<edge>(to, first, second > 0 ? lanes : numbers);
            store<edge>(to + lanes, other, second > 0 ? second : 0);
        }
    }
}

// The largest number of a window, and for each after the first whether it is above those before.
struct Maximum {
    Lanes value;
    Choice above[3];

    template <bool edge>
    static Maximum of(const Strip& strip, const Lanes* window) {
        Maximum found = {window[0], {}};
        for (int64_t i = 1; i < 4; ++i) {
            Lanes next = window[i];
            if (edge && i % 2) next = keep_first(next, strip.odd, -INFINITY);
            if (edge && i > 1 && !strip.below) next = broadcast(-INFINITY);
            found.above[i - 1] = is_above(next, found.value);
            found.value = choose(found.above[i - 1], next, found.value);
        }
        return found;
    }
};

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
