// Formulas of losses that sum terms over pixels, as dislosses/_pixel_loss says and the reference.py of each loss. Every
// formula has
//   sums, coefficients: how many there are;
//   terms(prediction, target, options, sum): what a pixel adds to each sum;
//   slope(prediction, target, coefficients, options): the derivative by the prediction.
// A prediction is made of a number: Logits{x} or Probabilities{x}. There are no branches, so that a compiler makes vectors
// of a loop over pixels, in a function that is FLATTENED, and leaves out what a formula does not use.
#pragma once

#include "pixel_formulas.h"
#include "transcendental.simd.h"

// Takes into a function all that it calls: a loop with calls does not become vectors.
#if defined(__GNUC__)
#define FLATTENED __attribute__((flatten))
#else
#define FLATTENED
#endif

namespace dislayers {
namespace {

// log x, at least -100; right for the smallest numbers also, and NaN below 0.
float limited_logarithm(float x) {
    const bool tiny = x < smallest_normal;
    const float scaled = tiny ? x * 1.2676506e30f : x, shift = tiny ? 69.314718f : 0.0f;  // 2^100 and its logarithm
    const float found = at_least(logarithm(scaled) - shift, -100.0f);
    return x < 0 ? __builtin_nanf("") : found;
}

// base^exponent of a positive base.
float power(float base, float exponent) { return exponential(exponent * logarithm(base)); }

// Predictions through a sigmoid, without cancellation where it is near 0 or 1.
struct Logits {
    float value, small, positive, negative, slope;

    explicit Logits(float x) : value(x), small(exponential(-absolute(x))) {
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
    float size, confidence, direction;  // |t - p|, 1 - |t - p|, and 1 where p > t, else -1

    template <typename Prediction>
    Error(const Prediction& prediction, float target) {
        const float rest = 1.0f - target, above = prediction.positive - target, below = prediction.negative - rest;
        const float to_background = prediction.positive + rest, to_foreground = prediction.negative + target;
        size = at_least(above < below ? below : above, smallest_normal);
        confidence = to_background < to_foreground ? to_background : to_foreground;
        direction = prediction.positive > target ? 1.0f : -1.0f;
    }
};

// The sum of weighted terms and the sum of weights; options alpha and gamma.
template <bool gamma_is_2>
struct NormalizedFocal {
    static constexpr int sums = 2, coefficients = 1;

    template <typename Prediction>
    static void terms(const Prediction& prediction, float target, const float* options, float* sum) {
        const Error error(prediction, target);
        const float beta = power(error.size, options[1]);
        sum[0] = -weight(target, options[0]) * beta * logarithm(certainty(error));
        sum[1] = beta;
    }

    // beta is a constant where it divides.
    template <typename Prediction>
    static float slope(const Prediction& prediction, float target, const float* coefficients, const float* options) {
        const Error error(prediction, target);
        const float gamma = options[1], certain = certainty(error), less = lower_power(error.size, gamma);
        const float by_error = less * error.size / certain - gamma * less * logarithm(certain);
        return coefficients[0] * weight(target, options[0]) * by_error * error.direction * prediction.slope;
    }

  private:
    static float power(float x, float gamma) {
        if constexpr (gamma_is_2) return x * x;
        return dislayers::power(x, gamma);
    }

    static float lower_power(float x, float gamma) {
        if constexpr (gamma_is_2) return x;
        return dislayers::power(x, gamma - 1.0f);
    }

    static float weight(float target, float alpha) { return target > 0.5f ? alpha : 1.0f - alpha; }
    static float certainty(const Error& error) { return at_most(error.confidence + 1e-12f, 1.0f); }
};

// Calls run(a value of the formula's type).
template <typename Run>
void with_formula(Formula formula, const float* options, const Run& run) {
    switch (formula) {
        case Formula::bce: return run(Bce());
        case Formula::iou: return run(Iou());
        case Formula::bce_iou: return run(BceIou());
        case Formula::focal: return;
        case Formula::normalized_focal:
            return options[1] == 2 ? run(NormalizedFocal<true>()) : run(NormalizedFocal<false>());
    }
}

}  // namespace
}  // namespace dislayers
