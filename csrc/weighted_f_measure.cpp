// Weighted F-measures on the CPU: bands of rows over threads; sums are added row by row, whatever thread made them.
#include <cmath>
#include <limits>
#include <vector>

#include "api.h"
#include "bands.h"
#include "instruction_set.h"

namespace dislayers {

VARIANTS(pass_foreground_rows, const WeightedF& task, int64_t image, int64_t first, int64_t last, bool down,
         int32_t* rows)
VARIANTS(weigh_band, const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last,
         const int32_t* above, const int32_t* below, int64_t* workspace, RowErrors* sums)

namespace {

// Of sigma 5, cut off at the radius.
void set_gaussian(double* gaussian) {
    double sum = 0;
    for (int64_t i = 0; i <= blur_radius; ++i)
        sum += (i ? 2 : 1) * (gaussian[i] = std::exp(-static_cast<double>(i * i) / 50));
    for (int64_t i = 0; i <= blur_radius; ++i) gaussian[i] /= sum;
}

// 2 - 0.5^(d / 5) for all squared distances d^2 of 16 bits: the largest makes it 2 in float64.
std::vector<double> background_weights() {
    std::vector<double> weights(1 << 16);
    for (size_t square = 0; square < weights.size(); ++square)
        weights[square] = 2 - std::exp(std::log(0.5) / 5 * std::sqrt(static_cast<double>(square)));
    return weights;
}

double score_of(const RowErrors* rows, int64_t count, double beta_squared) {
    RowErrors sums = {};
    for (int64_t row = 0; row < count; ++row) {
        sums.missed += rows[row].missed;
        sums.false_positives += rows[row].false_positives;
        sums.foreground += rows[row].foreground;
    }
    if (sums.foreground == 0) return 0;
    constexpr double epsilon = std::numeric_limits<double>::epsilon();
    const double foreground = static_cast<double>(sums.foreground), found = foreground - sums.missed;
    const double recall = 1 - sums.missed / foreground, precision = found / (found + sums.false_positives + epsilon);
    return (1 + beta_squared) * recall * precision / (recall + beta_squared * precision + epsilon);
}

}  // namespace

void weighted_f_measure_cpu(const WeightedF& task, int64_t threads, int instruction_set) {
    static const std::vector<double> background = background_weights();
    Weights weights = {{}, background.data()};
    set_gaussian(weights.gaussian);
    const Bands bands(foreground(task), blur_radius, threads);
    const Workspace<int64_t> workspace(bands.workers(), weighing_words(bands.rows(), task.width));
    std::vector<RowErrors> rows(static_cast<size_t>(task.batch * task.height));
    bands.find([&](int64_t image, int64_t first, int64_t last, bool down, int32_t* found) {
        pass_foreground_rows_variants[instruction_set](task, image, first, last, down, found);
    });
    bands.for_each([&](int64_t worker, int64_t image, int64_t band, int64_t first, int64_t last) {
        if (!bands.has_any(image)) return;
        weigh_band_variants[instruction_set](task, weights, image, first, last, bands.above(image, band),
                                             bands.below(image, band), workspace.of(worker),
                                             rows.data() + image * task.height + first);
    });
    for (int64_t image = 0; image < task.batch; ++image)
        task.scores[image] = score_of(rows.data() + image * task.height, task.height, task.beta_squared);
}

}  // namespace dislayers
