// test_pixel_loss SEED COUNT [FIRST]: sums and slopes of COUNT random batches by every instruction set, of any formula,
// against loops in float64; any number of threads gives the same bits.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"
#include "random.h"

namespace {

using namespace dislayers;

constexpr float gap = -12345;  // between samples

struct Case {
    PixelLoss loss;
    std::vector<float> prediction, labels, coefficients;
    std::vector<uint8_t> bytes;
    FormulaShape shape;
    int64_t slopes_stride;

    float target_at(int64_t place) const {
        return loss.target_of_bytes ? bytes[static_cast<size_t>(place)] : labels[static_cast<size_t>(place)];
    }
};

float uniform(Random& random, float low, float high) {
    return low + (high - low) * static_cast<float>(random.between(0, 1 << 24)) / (1 << 24);
}

UNWATCHED void fill(Random& random, Case& made, bool soft) {
    const PixelLoss& loss = made.loss;
    const float reach = random.one_of({1.0f, 8.0f, 200.0f});
    for (float& value : made.prediction) {
        value = loss.probabilities ? uniform(random, 0, 1) : uniform(random, -reach, reach);
        if (loss.probabilities && random.one_in(20)) value = random.one_of({0.0f, 1.0f, 1e-30f, 1e-42f});
    }
    for (float& label : made.labels) label = soft ? uniform(random, 0, 1) : static_cast<float>(random.between(0, 1));
    for (uint8_t& label : made.bytes) label = static_cast<uint8_t>(random.between(0, 1));
    if (std::isnan(loss.ignore_label)) return;
    for (int64_t sample = 0; sample < loss.batch; ++sample)
        for (int64_t i = 0; i < loss.pixels; ++i) {
            if (!random.one_in(5)) continue;
            const auto place = static_cast<size_t>(sample * loss.target_stride + i);
            loss.target_of_bytes ? void(made.bytes[place] = 255) : void(made.labels[place] = -1);
            if (random.one_in(10)) made.prediction[static_cast<size_t>(sample * loss.prediction_stride + i)] = NAN;
        }
}

Case random_case(Random& random) {
    Case made = {};
    PixelLoss& loss = made.loss;
    loss.formula = static_cast<Formula>(random.between(0, 4));
    made.shape = formula_shapes[static_cast<int>(loss.formula)];
    loss.probabilities = random.one_in(2);
    loss.target_of_bytes = random.one_in(2);
    loss.ignore_label = random.one_in(2) ? NAN : loss.target_of_bytes ? 255.0f : -1.0f;
    loss.batch = random.between(1, 4);
    loss.pixels = random.one_in(40) ? random.between(60000, 90000)
                                    : random.one_of({random.between(1, 40), random.between(1, 1000)});
    const bool soft = !loss.target_of_bytes && random.one_in(2);
    // Where gamma is below 1, a slope is not continuous where prediction and target meet.
    const float gamma = soft ? random.one_of({1.0f, 2.0f, 3.0f}) : random.one_of({0.0f, 0.5f, 1.0f, 2.0f, 2.5f});
    loss.options[0] = gamma, loss.options[1] = uniform(random, 0, 1), loss.options[2] = uniform(random, 0, 1);
    loss.prediction_stride = loss.pixels + random.between(0, 3);
    loss.target_stride = loss.pixels + random.between(0, 3);
    made.slopes_stride = loss.pixels + random.between(0, 3);
    const auto room = [&](int64_t stride) { return static_cast<size_t>((loss.batch - 1) * stride + loss.pixels); };
    made.prediction.resize(room(loss.prediction_stride));
    if (loss.target_of_bytes) made.bytes.resize(room(loss.target_stride));
    else made.labels.resize(room(loss.target_stride));
    made.coefficients.resize(static_cast<size_t>(loss.batch * made.shape.coefficients));
    for (float& coefficient : made.coefficients) coefficient = uniform(random, -2, 2);
    fill(random, made, soft);
    loss.prediction = made.prediction.data();
    loss.target = loss.target_of_bytes ? static_cast<const void*>(made.bytes.data()) : made.labels.data();
    return made;
}

// What a pixel adds to each sum, and the derivative of sum 0, 1, 2 weighted by coefficients, by the definition.
struct Pixel {
    double terms[most_sums] = {}, slope = 0;
};

double log_of(double probability) { return std::fmax(std::log(probability), -100); }

UNWATCHED void add_bce(const PixelLoss& loss, double x, double p, double n, double t, double c, Pixel& made) {
    made.terms[0] = loss.probabilities ? -t * log_of(p) - (1 - t) * log_of(n)
                                       : std::fmax(x, 0) - x * t + std::log1p(std::exp(-std::fabs(x)));
    made.slope += c * (p - t) / (loss.probabilities ? std::fmax(p * n, 1e-12) : 1);
}

UNWATCHED void add_iou(double p, double slope, double t, const float* c, double* terms, Pixel& made) {
    terms[0] = p * t;
    terms[1] = p + t - p * t;
    made.slope += slope * (c[0] * t + c[1] * (1 - t));
}

UNWATCHED void add_focal(const PixelLoss& loss, double x, double p, double n, double slope, double t, double c,
                         Pixel& made) {
    const bool normalized = loss.formula == Formula::normalized_focal;
    const double error = std::fmax(p - t, n - (1 - t)), gamma = loss.options[0];
    double confidence = std::fmin(p + (1 - t), n + t), logarithm;
    if (normalized) confidence = std::fmin(confidence + 1e-12, 1);
    if (normalized) logarithm = std::log(confidence);
    else if (loss.probabilities) logarithm = log_of(confidence);
    else logarithm = confidence < 1e-30 ? -std::fabs(x) : std::log(confidence);
    const double weight = t > 0.5 ? loss.options[1] : loss.options[2], beta = std::pow(error, gamma);
    made.terms[0] = -weight * beta * logarithm;
    made.terms[1] = beta;
    if (error == 0) return;
    const double by_logarithm = slope / (loss.probabilities && !normalized ? std::fmax(confidence, 1e-12) : confidence);
    const double by_power = gamma * std::pow(error, gamma - 1) * logarithm * slope;
    made.slope = (p > t ? c : -c) * weight * (beta * by_logarithm - by_power);
}

UNWATCHED Pixel expected(const PixelLoss& loss, float value, float target, const float* c) {
    Pixel made;
    if (target == loss.ignore_label) return made;
    const double x = value, t = target;
    const double p = loss.probabilities ? x : 1 / (1 + std::exp(-x));
    const double n = loss.probabilities ? 1 - x : 1 / (1 + std::exp(x));
    const double slope = loss.probabilities ? 1 : p * n;
    switch (loss.formula) {
        case Formula::bce: add_bce(loss, x, p, n, t, c[0], made); break;
        case Formula::iou: add_iou(p, slope, t, c, made.terms, made); break;
        case Formula::bce_iou:
            add_bce(loss, x, p, n, t, c[0], made);
            add_iou(p, slope, t, c + 1, made.terms + 1, made);
            break;
        case Formula::focal:
        case Formula::normalized_focal: add_focal(loss, x, p, n, slope, t, c[0], made);
    }
    return made;
}

struct Result {
    std::vector<double> sums;
    std::vector<float> slopes;

    bool operator==(const Result& other) const {
        const auto same = [](const auto& a, const auto& b) {
            return !std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]);
        };
        return same(sums, other.sums) && same(slopes, other.slopes);
    }
};

Result computed(const Case& made, int64_t threads, int set) {
    const PixelLoss& loss = made.loss;
    Result result = {std::vector<double>(static_cast<size_t>(loss.batch * made.shape.sums), 1),
                     std::vector<float>(static_cast<size_t>((loss.batch - 1) * made.slopes_stride + loss.pixels), gap)};
    pixel_loss_cpu({loss, result.sums.data()}, threads, set);
    pixel_loss_backward_cpu({loss, made.coefficients.data(), result.slopes.data(), made.slopes_stride}, threads, set);
    return result;
}

bool near(const char* what, double found, double right, double size) {
    if (std::fabs(found - right) <= 3e-6 * size) return true;
    return std::printf("%s is %.9g, not %.9g\n", what, found, right), false;
}

UNWATCHED bool right(const Case& made, const Result& result) {
    const PixelLoss& loss = made.loss;
    for (int64_t sample = 0; sample < loss.batch; ++sample) {
        double sums[most_sums] = {1, 1, 1};
        const float* c = made.coefficients.data() + sample * made.shape.coefficients;
        for (int64_t i = 0; i < made.slopes_stride; ++i) {
            const auto place = static_cast<size_t>(sample * made.slopes_stride + i);
            if (place >= result.slopes.size()) break;
            const float slope = result.slopes[place];
            if (i >= loss.pixels && slope != gap) return std::printf("written between samples\n"), false;
            if (i >= loss.pixels) continue;
            const float value = made.prediction[static_cast<size_t>(sample * loss.prediction_stride + i)];
            const float target = made.target_at(sample * loss.target_stride + i);
            const Pixel pixel = expected(loss, value, target, c);
            for (int s = 0; s < made.shape.sums; ++s) sums[s] += pixel.terms[s];
            const double steepness = loss.probabilities ? 1 / std::fmax(value * (1.0 - value), 1e-12) : 1;
            const double size = std::fabs(pixel.slope) + (target == loss.ignore_label ? 0 : 2 * steepness);
            if (!near("slope", slope, pixel.slope, size))
                return std::printf("at %.9g, target %.9g\n", value, target), false;
        }
        for (int s = 0; s < made.shape.sums; ++s)
            if (!near("sum", result.sums[static_cast<size_t>(sample * made.shape.sums + s)], sums[s], sums[s]))
                return false;
    }
    return true;
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const Case made = random_case(random);
    for (int set = 0; set <= best; ++set) {
        const Result alone = computed(made, 1, set);
        const bool same = computed(made, 2, set) == alone && computed(made, 3, set) == alone;
        if (same && right(made, alone)) continue;
        std::printf("%s: %s of %lld x %lld%s%s%s, gamma %g\n", names[set], made.shape.name,
                    static_cast<long long>(made.loss.batch), static_cast<long long>(made.loss.pixels),
                    made.loss.probabilities ? ", probabilities" : "", made.loss.target_of_bytes ? ", bytes" : "",
                    same ? "" : ": threads change it", made.loss.options[0]);
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_pixel_loss", count, words, equal); }
