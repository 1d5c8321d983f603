// The passes over a patch of maps.
#include "batch_norm_relu.h"
#include "instruction_set.h"
#include "norm_patch.simd.h"
#include "norm_statistics.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// What the ReLU is given of x - mean: the one expression for it.
Lanes affine(Lanes centred, Lanes scale, Lanes bias) { return multiply_add(centred, scale, bias); }

Lanes relu(Lanes value) { return choose(at_most(value, Lanes{}), Lanes{}, value); }

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
