// Sums and slopes of a task's pixels.
#include "pixel_formulas.simd.h"

#include "instruction_set.h"
#include "pixel_loss.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Pixels whose terms are added in float32, and the lanes that they are added in.
constexpr int64_t together = 256, lanes = 16;

// A task's pixels.
template <typename Target>
struct Pixels {
    const float* prediction;
    const Target* target;
    int64_t count;
};

template <typename Target>
Pixels<Target> pixels_of(const PixelLoss& loss, int64_t sample, int64_t first) {
    const int64_t left = loss.pixels - first;
    return {loss.prediction + sample * loss.prediction_stride + first,
            static_cast<const Target*>(loss.target) + sample * loss.target_stride + first,
            left < pixels_of_a_task ? left : pixels_of_a_task};
}

// The terms of a sum: so many pixels in float32, in lanes, and the lanes of all in float64.
class Lanes {
  public:
    float terms[together] = {};

    void add_terms() {
        float sums[lanes] = {};
        for (int64_t i = 0; i < together; i += lanes)
            for (int64_t lane = 0; lane < lanes; ++lane) sums[lane] += terms[i + lane];
        for (int64_t lane = 0; lane < lanes; ++lane) totals[lane] += static_cast<double>(sums[lane]);
    }

    double total() const {
        double sum = 0;
        for (const double of_lane : totals) sum += of_lane;
        return sum;
    }

  private:
    double totals[lanes] = {};
};

// Whether pixels count, as bytes: beside them a compiler computes four vectors of floats at once, which do not wait for
// each other.
template <typename Target>
void find_counted(const Target* target, int64_t count, float ignore_label, uint8_t* counted) {
    for (int64_t i = 0; i < count; ++i) counted[i] = static_cast<float>(target[i]) != ignore_label;
}

template <typename Formula, typename Prediction, typename Target>
FLATTENED void add_terms(const Pixels<Target>& pixels, const PixelLoss& loss, double* sums) {
    Lanes found[Formula::sums];
    uint8_t counted[together];
    for (int64_t first = 0; first < pixels.count; first += together) {
        const float* prediction = pixels.prediction + first;
        const Target* target = pixels.target + first;
        const int64_t left = pixels.count - first, count = left < together ? left : together;
        find_counted(target, count, loss.ignore_label, counted);
        for (int64_t i = 0; i < count; ++i) {
            float of_pixel[Formula::sums];
            Formula::terms(Prediction(prediction[i]), static_cast<float>(target[i]), loss.options, of_pixel);
            for (int s = 0; s < Formula::sums; ++s) found[s].terms[i] = counted[i] ? of_pixel[s] : 0;
        }
        for (Lanes& sum : found) {
            for (int64_t i = count; i < together; ++i) sum.terms[i] = 0;
            sum.add_terms();
        }
    }
    for (int s = 0; s < Formula::sums; ++s) sums[s] += found[s].total();
}

template <typename Formula, typename Prediction, typename Target>
FLATTENED void write_slopes(const Pixels<Target>& pixels, const PixelLoss& loss, const float* coefficients,
                            float* __restrict slopes) {
    uint8_t counted[together];
    for (int64_t first = 0; first < pixels.count; first += together) {
        const float* prediction = pixels.prediction + first;
        const Target* target = pixels.target + first;
        const int64_t left = pixels.count - first, count = left < together ? left : together;
        find_counted(target, count, loss.ignore_label, counted);
        for (int64_t i = 0; i < count; ++i) {
            const float label = static_cast<float>(target[i]);
            const float slope = Formula::slope(Prediction(prediction[i]), label, coefficients, loss.options);
            slopes[first + i] = counted[i] ? slope : 0;
        }
    }
}

// Calls run(formula, prediction, pixel of the target) with values of the types that a loss has.
template <typename Run>
void with_types(const PixelLoss& loss, const Run& run) {
    with_formula(loss.formula, loss.options, [&](auto formula) {
        const Probabilities probability(0);
        const Logits logit(0);
        if (loss.target_of_bytes)
            loss.probabilities ? run(formula, probability, uint8_t()) : run(formula, logit, uint8_t());
        else
            loss.probabilities ? run(formula, probability, float()) : run(formula, logit, float());
    });
}

}  // namespace

void sum_pixels(const PixelSums& task, int64_t sample, int64_t first, double* sums) {
    with_types(task.loss, [&](auto formula, auto prediction, auto target) {
        add_terms<decltype(formula), decltype(prediction)>(pixels_of<decltype(target)>(task.loss, sample, first),
                                                           task.loss, sums);
    });
}

void slopes_of_pixels(const PixelSlopes& task, int64_t sample, int64_t first) {
    with_types(task.loss, [&](auto formula, auto prediction, auto target) {
        write_slopes<decltype(formula), decltype(prediction)>(
            pixels_of<decltype(target)>(task.loss, sample, first), task.loss,
            task.coefficients + sample * decltype(formula)::coefficients,
            task.slopes + sample * task.slopes_stride + first);
    });
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
