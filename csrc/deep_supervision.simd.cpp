// Deep supervision of one band of rows: low rows are resized horizontally when they come into reach; every pixel is a
// blend of two such rows, and its derivative goes back to two rows of sums, gathered when they go out of reach.
#include "pixel_formulas.simd.h"

#include "bilinear.simd.h"
#include "deep_supervision.h"
#include "instruction_set.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Pixels that are computed at once.
constexpr int lanes = static_cast<int>(supervision_lanes);

// The rows of a worker.
struct Rows {
    float *upper, *lower, *labels, *to_upper, *to_lower, *low;
};

Rows rows_of(const DeepSupervision& task, float* room) {
    const int64_t length = supervision_row(task.width);
    float* rows[5];
    for (int i = 0; i < 5; ++i) {
        float* row = room + i * length;
        for (int64_t x = 0; x < length; ++x) row[x] = 0;
        rows[i] = row + full_margin;
    }
    return {rows[0], rows[1], rows[2], rows[3], rows[4], room + 5 * length};
}

// A row of the target as floats, up to a whole number of lanes.
const float* labels_of(const DeepSupervision& task, int64_t row, float* labels) {
    const int64_t start = row * task.width;
    if (task.target_of_bytes) {
        const uint8_t* bytes = static_cast<const uint8_t*>(task.target) + start;
        for (int64_t x = 0; x < task.width; ++x) labels[x] = bytes[x];
        return labels;
    }
    const float* floats = static_cast<const float*>(task.target) + start;
    if (task.width % lanes == 0) return floats;
    for (int64_t x = 0; x < task.width; ++x) labels[x] = floats[x];
    return labels;
}

// One row of full resolution, between two that are resized horizontally.
struct Row {
    const float *upper, *lower, *labels;
    float weight;

    float logit(int64_t x) const { return (1.0f - weight) * upper[x] + weight * lower[x]; }
};

// Copies of a few numbers: the compiler cannot know that what it writes does not change those of a task.
template <int count>
struct Numbers {
    float values[count];

    explicit Numbers(const float* numbers) {
        for (int i = 0; i < count; ++i) values[i] = numbers[i];
    }
};

template <typename Formula>
struct Terms {
    const DeepSupervision& task;
    alignas(64) float sums[Formula::sums][lanes];

    // Of the first `count` lanes.
    FLATTENED void add(const Row& row, int64_t start, int count) {
        const Numbers<most_options> options(task.options);
        const float ignored = task.ignore_label;
        alignas(64) float terms[Formula::sums][lanes];
        for (int lane = 0; lane < lanes; ++lane) {
            const float label = row.labels[start + lane];
            float of_pixel[Formula::sums];
            Formula::terms(Logits(row.logit(start + lane)), label, options.values, of_pixel);
            for (int i = 0; i < Formula::sums; ++i) terms[i][lane] = label != ignored ? of_pixel[i] : 0.0f;
        }
        for (int i = 0; i < Formula::sums; ++i)
            for (int lane = 0; lane < count; ++lane) sums[i][lane] += terms[i][lane];
    }
};

template <typename Formula>
struct Slopes {
    const DeepSupervision& task;
    const float* coefficients;
    float *to_upper, *to_lower;

    // Of the first `count` lanes.
    FLATTENED void add(const Row& row, int64_t start, int count) const {
        const Numbers<most_options> options(task.options);
        const Numbers<Formula::coefficients> scale(coefficients);
        const float ignored = task.ignore_label, of_lower = row.weight, of_upper = 1.0f - of_lower;
        alignas(64) float slopes[lanes];
        for (int lane = 0; lane < lanes; ++lane) {
            const float label = row.labels[start + lane];
            const float slope = Formula::slope(Logits(row.logit(start + lane)), label, scale.values, options.values);
            slopes[lane] = label != ignored ? slope : 0.0f;
        }
        float *upper = to_upper + start, *lower = to_lower + start;
        for (int lane = 0; lane < count; ++lane) upper[lane] += of_upper * slopes[lane];
        for (int lane = 0; lane < count; ++lane) lower[lane] += of_lower * slopes[lane];
    }
};

template <typename Sums>
void add_pixels(const Row& row, int64_t width, Sums& sums) {
    int64_t x = 0;
    for (; x + lanes <= width; x += lanes) sums.add(row, x, lanes);
    if (x < width) sums.add(row, x, static_cast<int>(width - x));
}

// Calls visit(row) for every row of a band and left(i) when row i of the side output is out of reach.
template <typename Visit, typename Left>
void visit_rows(const DeepSupervision& task, const SideBand& band, const Rows& rows, const Visit& visit,
                const Left& left) {
    const SideOutput& side = band.side;
    float *upper = rows.upper, *lower = rows.lower;
    const auto load = [&](int64_t i, float* row) {
        const int64_t last = side.height - 1;
        resize(band.columns, side.logits + (i < last ? i : last) * side.width, rows.low, row);
    };
    load(band.first, lower);
    for (int64_t i = band.first; i < band.last; ++i) {
        float* const free = upper;
        upper = lower;
        lower = free;
        load(i + 1, lower);
        for (int64_t y = band.rows.begin[i]; y < band.rows.begin[i + 1]; ++y) {
            const float* labels = labels_of(task, band.sample * task.height + y, rows.labels);
            visit(Row{upper, lower, labels, band.rows.weight[y]});
        }
        left(i);
    }
}

template <typename Formula>
void sum(const DeepSupervision& task, const SideBand& band, const Rows& rows) {
    double sums[Formula::sums] = {};
    const auto add = [&](const Row& row) {
        Terms<Formula> terms = {task, {}};
        add_pixels(row, task.width, terms);
        for (int i = 0; i < Formula::sums; ++i)
            for (const float of_lane : terms.sums[i]) sums[i] += of_lane;
    };
    visit_rows(task, band, rows, add, [](int64_t) {});
    for (int i = 0; i < Formula::sums; ++i) band.sums[i] = sums[i];
}

template <typename Formula>
void differentiate(const DeepSupervision& task, const SideBand& band, const Rows& rows) {
    const float* coefficients = task.coefficients + band.result * Formula::coefficients;
    Slopes<Formula> slopes = {task, coefficients, rows.to_upper, rows.to_lower};
    const auto add = [&](const Row& row) { add_pixels(row, task.width, slopes); };
    const auto left = [&](int64_t i) {
        gather(band.columns, slopes.to_upper, rows.low, band.side.gradient + i * band.side.width);
        float* const done = slopes.to_upper;
        slopes.to_upper = slopes.to_lower;
        slopes.to_lower = done;
        for (int64_t x = 0; x < task.width; ++x) done[x] = 0;
    };
    visit_rows(task, band, rows, add, left);
    gather(band.columns, slopes.to_upper, rows.low, band.seam);
}

}  // namespace

void sum_band(const DeepSupervision& task, const SideBand& band, float* room) {
    const Rows rows = rows_of(task, room);
    with_formula(task.formula, task.options, [&](auto formula) { sum<decltype(formula)>(task, band, rows); });
}

void differentiate_band(const DeepSupervision& task, const SideBand& band, float* room) {
    const Rows rows = rows_of(task, room);
    with_formula(task.formula, task.options, [&](auto formula) { differentiate<decltype(formula)>(task, band, rows); });
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
