// The passes over a patch of maps. Vectors hold channels where these come last, else columns; parameters and sums of
// channels do likewise.
#include "batch_norm_relu.simd.h"

#include "batch_norm_relu.h"
#include "instruction_set.h"

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
            if (last) memset(of_channels + i * channels, 0, static_cast<size_t>(channels) * sizeof(float));
            else of_channels[i * channels + channel] = 0;
        }
    }

    void finish(int64_t channel, bool last) {
        for (int64_t i = 0; i < 2 && !last; ++i)
            of_channels[i * channels + channel] = total((own[i][0] + own[i][1]) + (own[i][2] + own[i][3]));
    }
};

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

// What the ReLU is given of x - mean: the one expression for it.
Lanes affine(Lanes centred, Lanes scale, Lanes bias) { return multiply_add(centred, scale, bias); }

Lanes relu(Lanes value) { return choose(at_most(value, Lanes{}), Lanes{}, value); }

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

// The map, and its windows' maxima.
struct Normalization {
    const BatchNormRelu& task;
    const ChannelParameters& parameters;

    template <bool last, int vectors, bool edge>
    void run(const Strip& strip) {
        Lanes mean[vectors], scale[vectors], bias[vectors];
        for (int64_t v = 0; v < vectors; ++v) {
            mean[v] = parameter<last, edge>(parameters.mean, strip, v);
            scale[v] = parameter<last, edge>(parameters.scale, strip, v);
            bias[v] = parameter<last, edge>(parameters.bias, strip, v);
        }
        const auto step = [](const FeatureMap& map) { return last ? map.column_stride : vectors * lanes; };
        const float *x = strip.in(task.x, 1), *residual = strip.in(task.residual, 1);
        float* out = strip.in(task.out, 1);
        for (int64_t i = 0; i < strip.steps; ++i, x += step(task.x), out += step(task.out)) {
            for (int64_t v = 0; v < vectors; ++v) {
                const Lanes centred = minus(load<edge>(x + v * lanes, strip.count), mean[v]);
                Lanes value = relu(affine(centred, scale[v], bias[v]));
                if (residual) value += load<edge>(residual + v * lanes, strip.count);
                store<edge>(out + v * lanes, value, strip.count);
            }
            if (residual) residual += step(task.residual);
        }
    }

    template <bool last, bool edge>
    void run_windows(const Strip& strip) {
        const Lanes mean = parameter<last, edge>(parameters.mean, strip, 0);
        const Lanes scale = parameter<last, edge>(parameters.scale, strip, 0);
        const Lanes bias = parameter<last, edge>(parameters.bias, strip, 0);
        const auto step = [](const FeatureMap& map) { return last ? 2 * map.column_stride : 2 * lanes; };
        const float *x = strip.in(task.x, 2), *residual = strip.in(task.residual, 2);
        float *out = strip.in(task.out, 2), *pooled = strip.in(task.pooled, 1);
        for (int64_t i = 0; i < strip.steps; ++i, x += step(task.x), pooled += step(task.pooled) / 2) {
            Lanes values[4], others[4];
            load_window<last, edge>(x, task.x, strip, values);
            for (Lanes& value : values) value = relu(affine(minus(value, mean), scale, bias));
            if (residual) {
                load_window<last, edge>(residual, task.residual, strip, others);
                for (int64_t k = 0; k < 4; ++k) values[k] += others[k];
                residual += step(task.residual);
            }
            if (out) {
                store_window<last, edge>(out, task.out, strip, values);
                out += step(task.out);
            }
            store<edge>(pooled, Maximum::of<edge>(strip, values).value, strip.count);
        }
    }
};

// With g the gradient at the ReLU's output: sums over g and g (x - mean) where the ReLU let x through, or the gradient
// of x that follows from them.
template <bool writes>
struct Differentiation {
    const BatchNormRelu& task;
    const ChannelParameters& parameters;
    Sums sums;

    // What a strip holds of each of its vectors of channels.
    template <bool last, bool edge>
    struct Channels {
        Lanes mean, scale, bias, slope, offset, of_bias, of_scale;

        void start(const Differentiation& all, const Strip& strip, int64_t v) {
            mean = parameter<last, edge>(all.parameters.mean, strip, v);
            scale = parameter<last, edge>(all.parameters.scale, strip, v);
            bias = parameter<last, edge>(all.parameters.bias, strip, v);
            if (writes) {
                slope = parameter<last, edge>(all.parameters.slope, strip, v);
                offset = parameter<last, edge>(all.parameters.offset, strip, v);
            } else {
                of_bias = all.sums.template get<last, edge>(0, strip, v);
                of_scale = all.sums.template get<last, edge>(1, strip, v);
            }
        }

        void finish(Differentiation& all, const Strip& strip, int64_t v) const {
            if (writes) return;
            all.sums.template set<last, edge>(0, strip, v, of_bias);
            all.sums.template set<last, edge>(1, strip, v, of_scale);
        }

        // The gradient of x, or something else if that is not asked for.
        Lanes take(Lanes centred, Lanes given, Lanes gradient) {
            gradient = choose(at_most(given, Lanes{}), Lanes{}, gradient);
            if (writes) return multiply_add(scale, gradient, multiply_add(slope, centred, offset));
            of_bias += gradient;
            of_scale = multiply_add(gradient, centred, of_scale);
            return gradient;
        }
    };

    template <bool last, int vectors, bool edge>
    void run(const Strip& strip) {
        Channels<last, edge> channels[vectors];
        for (int64_t v = 0; v < vectors; ++v) channels[v].start(*this, strip, v);
        const auto step = [](const FeatureMap& map) { return last ? map.column_stride : vectors * lanes; };
        const float *x = strip.in(task.x, 1), *d_out = strip.in(task.d_out, 1);
        float* d_x = strip.in(task.d_x, 1);
        for (int64_t i = 0; i < strip.steps; ++i, x += step(task.x), d_out += step(task.d_out)) {
            for (int64_t v = 0; v < vectors; ++v) {
                const Lanes centred = minus(load<edge>(x + v * lanes, strip.count), channels[v].mean);
                const Lanes given = affine(centred, channels[v].scale, channels[v].bias);
                const Lanes taken = channels[v].take(centred, given, load<edge>(d_out + v * lanes, strip.count));
                if (writes) store<edge>(d_x + v * lanes, taken, strip.count);
            }
            if (writes) d_x += step(task.d_x);
        }
        for (int64_t v = 0; v < vectors; ++v) channels[v].finish(*this, strip, v);
    }

    template <bool last, bool edge>
    void run_windows(const Strip& strip) {
        Channels<last, edge> channels;
        channels.start(*this, strip, 0);
        const auto step = [](const FeatureMap& map) { return last ? 2 * map.column_stride : 2 * lanes; };
        const int dropped = static_cast<int>(task.precision);
        const float *x = strip.in(task.x, 2), *residual = strip.in(task.residual, 2);
        const float *d_out = strip.in(task.d_out, 2), *d_pooled = strip.in(task.d_pooled, 1);
        float *d_x = strip.in(task.d_x, 2), *d_residual = strip.in(task.d_residual, 2);
        for (int64_t i = 0; i < strip.steps; ++i, x += step(task.x), d_pooled += step(task.d_pooled) / 2) {
            Lanes centred[4], given[4], values[4], gradients[4], others[4];
            load_window<last, edge>(x, task.x, strip, centred);
            for (int64_t k = 0; k < 4; ++k) {
                centred[k] = minus(centred[k], channels.mean);
                given[k] = affine(centred[k], channels.scale, channels.bias);
                values[k] = relu(given[k]);
            }
            if (residual) {
                load_window<last, edge>(residual, task.residual, strip, others);
                for (int64_t k = 0; k < 4; ++k) values[k] += others[k];
                residual += step(task.residual);
            }
            if (dropped)
                for (Lanes& value : values) value = rounded(value, dropped);
            const Maximum maximum = Maximum::of<edge>(strip, values);
            Lanes rest = load<edge>(d_pooled, strip.count);
            for (int64_t k = 3; k > 0; --k) {
                gradients[k] = choose(maximum.above[k - 1], rest, Lanes{});
                rest = choose(maximum.above[k - 1], Lanes{}, rest);
            }
            gradients[0] = rest;
            if (d_out) {
                load_window<last, edge>(d_out, task.d_out, strip, others);
                for (int64_t k = 0; k < 4; ++k) gradients[k] += others[k];
                d_out += step(task.d_out);
            }
            if (d_residual) {
                store_window<last, edge>(d_residual, task.d_residual, strip, gradients);
                d_residual += step(task.d_residual);
            }
            for (int64_t k = 0; k < 4; ++k) gradients[k] = channels.take(centred[k], given[k], gradients[k]);
            if (writes) {
                store_window<last, edge>(d_x, task.d_x, strip, gradients);
                d_x += step(task.d_x);
            }
        }
        channels.finish(*this, strip, 0);
    }
};

template <bool last>
void sum_patch(const BatchNormRelu& task, const NormPatch& patch, float* sums) {
    find_shift<last>(task, patch, sums);
    Summation summation = {task, sums, {sums + task.channels, task.channels, {}}};
    summation.sums.start(patch.channel, last);
    for_each_strip<last>(task, patch, summation);
    summation.sums.finish(patch.channel, last);
}

template <bool last>
void normalize_patch(const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch) {
    Normalization kernel = {task, parameters};
    if (task.pooled.data)
        for_each_window_strip<last>(task, patch, kernel);
    else
        for_each_strip<last>(task, patch, kernel);
}

template <bool last, bool writes>
void differentiate_patch(const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch,
                         float* sums) {
    Differentiation<writes> kernel = {task, parameters, {sums, task.channels, {}}};
    if (!writes) kernel.sums.start(patch.channel, last);
    if (task.d_pooled.data)
        for_each_window_strip<last>(task, patch, kernel);
    else
        for_each_strip<last>(task, patch, kernel);
    if (!writes) kernel.sums.finish(patch.channel, last);
}

}  // namespace

void sum_values(const BatchNormRelu& task, const NormPatch& patch, float* sums) {
    task.channels_last ? sum_patch<true>(task, patch, sums) : sum_patch<false>(task, patch, sums);
}

void normalize_values(const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch) {
    task.channels_last ? normalize_patch<true>(task, parameters, patch)
                       : normalize_patch<false>(task, parameters, patch);
}

void sum_gradients(const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch,
                   float* sums) {
    task.channels_last ? differentiate_patch<true, false>(task, parameters, patch, sums)
                       : differentiate_patch<false, false>(task, parameters, patch, sums);
}

void write_gradients(const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch) {
    task.channels_last ? differentiate_patch<true, true>(task, parameters, patch, nullptr)
                       : differentiate_patch<false, true>(task, parameters, patch, nullptr);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
