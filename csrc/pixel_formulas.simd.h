// Formulas of losses that sum terms over pixels, as dislosses/_pixel_loss says and the reference.py of each loss. A
// formula has
//   sums, coefficients: how many there are;
//   terms(prediction, target, options, sum): what a pixel adds to each sum;
//   slope(prediction, target, coefficients, options): the derivative by the prediction.
// A prediction is made of a number: Logits{x} or Probabilities{x}. There are no branches, so that a compiler makes
// vectors of a loop over pixels, in a function that is FLATTENED, and leaves out what a formula does not use.
#pragma once

#include "transcendental.simd.h"

#include "pixel_formulas.h"

namespace dislayers {
namespace {

float absolute(float x) { return float_of(bits_of(x) & 0x7fffffff); }

// log x, at least -100; right for the smallest numbers also.
float limited_logarithm(float x) {
    const bool tiny = x < smallest_normal;
    const float scaled = tiny ? x * 1.2676506e30f : x, shift = tiny ? 69.314718f : 0.0f;  // 2^100 and its logarithm
    return at_least(logarithm(scaled) - shift, -100.0f);
}

// Predictions through a sigmoid, without cancellation where it is near 0 or 1.
struct Logits {
    float value, small, positive, negative, slope;

    explicit Logits(float x) : value(x) {
        const float size = absolute(x), exact = exponential(-size);
        small = size > 87.3f ? 0.0f : exact;  // where exponential() stays at the smallest normal number
        const float larger = 1.0f / (1.0f + small), smaller = small * larger;
        positive = x < 0 ? smaller : larger;
        negative = x < 0 ? larger : smaller;
        slope = larger * smaller;
    }

    float cross_entropy(float target) const {
        const float sum = 1.0f + small, lost = small - (sum - 1.0f);
        return at_least(value, 0.0f) - value * target + (logarithm(sum) + lost);
    }

    float cross_entropy_slope(float target) const { return positive - target; }

    // The logarithm of 1 - |t - p|, which is 0 where the prediction is certain and wrong.
    float log_confidence(float confidence) const {
        return confidence < smallest_normal ? -absolute(value) : logarithm(confidence);
    }

    // The derivative of that logarithm by the prediction, without sign.
    float log_confidence_slope(float confidence) const {
        return confidence < smallest_normal ? 1.0f : slope / confidence;
    }
};

// Predictions that are probabilities.
struct Probabilities {
    float positive, negative, slope = 1.0f;

    explicit Probabilities(float p) : positive(p), negative(1.0f - p) {}

    float cross_entropy(float target) const {
        return -target * limited_logarithm(positive) - (1.0f - target) * limited_logarithm(negative);
    }

    float cross_entropy_slope(float target) const {
        return (positive - target) / at_least(positive * negative, 1e-12f);
    }

    float log_confidence(float confidence) const { return limited_logarithm(confidence); }
    float log_confidence_slope(float confidence) const { return 1.0f / at_least(confidence, 1e-12f); }
};

struct Bce {
    static constexpr int sums = 1, coefficients = 1;

    template <typename Prediction>
    static void terms(const Prediction& prediction, float target, const float*, float* sum) {
        sum[0] = prediction.cross_entropy(target);
    }

    template <typename Prediction>
    static float slope(const Prediction& prediction, float target, const float* coefficients, const float*) {
        return coefficients[0] * prediction.cross_entropy_slope(target);
    }
};

// Intersection and union.
struct Iou {
    static constexpr int sums = 2, coefficients = 2;

    template <typename Prediction>
    static void terms(const Prediction& prediction, float target, const float*, float* sum) {
        sum[0] = prediction.positive * target;
        sum[1] = prediction.positive + prediction.negative * target;
    }

    template <typename Prediction>
    static float slope(const Prediction& prediction, float target, const float* coefficients, const float*) {
        return prediction.slope * (coefficients[0] * target + coefficients[1] * (1.0f - target));
    }
};

struct BceIou {
    static constexpr int sums = Bce::sums + Iou::sums, coefficients = Bce::coefficients + Iou::coefficients;

    template <typename Prediction>
    static void terms(const Prediction& prediction, float target, const float* options, float* sum) {
        Bce::terms(prediction, target, options, sum);
        Iou::terms(prediction, target, options, sum + Bce::sums);
    }

    template <typename Prediction>
    static float slope(const Prediction& prediction, float target, const float* coefficients, const float* options) {
        return Bce::slope(prediction, target, coefficients, options) +
               Iou::slope(prediction, target, coefficients + Bce::coefficients, options);
    }
};

// What the prediction is wrong by. Neither difference cancels where a probability is near 0 or 1.
struct Error {
    float size, confidence, direction;  // |t - p|, 1 - |t - p|, the sign of p - t

    template <typename Prediction>
    Error(const Prediction& prediction, float target) {
        const float rest = 1.0f - target, above = prediction.positive - target, below = prediction.negative - rest;
        const float to_background = prediction.positive + rest, to_foreground = prediction.negative + target;
        size = at_least(above < below ? below : above, smallest_normal);
        confidence = to_background < to_foreground ? to_background : to_foreground;
        direction = above > below ? 1.0f : above < below ? -1.0f : 0.0f;
    }
};

// What focal losses share; options are gamma and the weights of positive and of negative pixels.
template <bool gamma_is_2>
struct Focus {
    // Of a positive number: to the power of gamma, and to that of gamma - 1.
    static float power(float x, const float* options) {
        if constexpr (gamma_is_2) return x * x;
        return exponential(options[0] * logarithm(x));
    }

    static float lower_power(float x, const float* options) {
        if constexpr (gamma_is_2) return x;
        return exponential((options[0] - 1.0f) * logarithm(x));
    }

    // Both are read first: a choice of what to read would stay a branch.
    static float weight(float target, const float* options) {
        const float positive = options[1], negative = options[2];
        return target > 0.5f ? positive : negative;
    }
};

template <bool gamma_is_2>
struct Focal : Focus<gamma_is_2> {
    static constexpr int sums = 1, coefficients = 1;
    using Focus<gamma_is_2>::power, Focus<gamma_is_2>::lower_power, Focus<gamma_is_2>::weight;

    template <typename Prediction>
    static void terms(const Prediction& prediction, float target, const float* options, float* sum) {
        const Error error(prediction, target);
        sum[0] = -weight(target, options) * power(error.size, options) * prediction.log_confidence(error.confidence);
    }

    template <typename Prediction>
    static float slope(const Prediction& prediction, float target, const float* coefficients, const float* options) {
        const Error error(prediction, target);
        const float lower = lower_power(error.size, options);
        const float by_logarithm = lower * error.size * prediction.log_confidence_slope(error.confidence);
        const float by_power = options[0] * lower * prediction.log_confidence(error.confidence) * prediction.slope;
        return coefficients[0] * weight(target, options) * error.direction * (by_logarithm - by_power);
    }
};

// The sum of weighted terms and the sum of what they are weighted by, which is a constant where it divides.
template <bool gamma_is_2>
struct NormalizedFocal : Focus<gamma_is_2> {
    static constexpr int sums = 2, coefficients = 1;
    using Focus<gamma_is_2>::power, Focus<gamma_is_2>::lower_power, Focus<gamma_is_2>::weight;

    template <typename Prediction>
    static void terms(const Prediction& prediction, float target, const float* options, float* sum) {
        const Error error(prediction, target);
        const float beta = power(error.size, options);
        sum[0] = -weight(target, options) * beta * logarithm(certainty(error));
        sum[1] = beta;
    }

    template <typename Prediction>
    static float slope(const Prediction& prediction, float target, const float* coefficients, const float* options) {
        const Error error(prediction, target);
        const float lower = lower_power(error.size, options), certain = certainty(error);
        const float by_error = lower * error.size / certain - options[0] * lower * logarithm(certain);
        return coefficients[0] * weight(target, options) * error.direction * by_error * prediction.slope;
    }

  private:
    static float certainty(const Error& error) { return at_most(error.confidence + 1e-12f, 1.0f); }
};

// Calls run(a value of the formula's type).
template <typename Run>
void with_formula(Formula formula, const float* options, const Run& run) {
    switch (formula) {
        case Formula::bce: return run(Bce());
        case Formula::iou: return run(Iou());
        case Formula::bce_iou: return run(BceIou());
        case Formula::focal: return options[0] == 2 ? run(Focal<true>()) : run(Focal<false>());
        case Formula::normalized_focal:
            return options[0] == 2 ? run(NormalizedFocal<true>()) : run(NormalizedFocal<false>());
    }
}

}  // namespace
}  // namespace dislayers
