// Distance transforms on the CPU: bands of rows over threads, joined by each column's false rows above and below them.
#include <algorithm>
#include <limits>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(find_false_rows, const DistanceTransform& task, int64_t image, int64_t first, int64_t last,
         int32_t* first_false, int32_t* last_false)
VARIANTS(transform_band, const DistanceTransform& task, int64_t image, int64_t first, int64_t last,
         const int32_t* above, const int32_t* below, int64_t* workspace)

namespace {

// Numbers of a band that should fit a core's second-level cache.
constexpr int64_t cache_numbers = 96 * 1024;
// Pixels below which a second thread costs more than it brings.
constexpr int64_t pixels_for_a_thread = 1 << 16;

// An image cut into `count` bands, and what is false before and after each cut, the image's two ends included.
struct Bands {
    const DistanceTransform& task;
    int64_t rows, count;
    Workspace<int32_t> edges;

    explicit Bands(const DistanceTransform& task)
        : task(task),
          rows(std::clamp(cache_numbers / task.width, std::min(task.height, int64_t(16)), task.height)),
          count((task.height + rows - 1) / rows),
          edges(2 * task.batch * (count + 1), task.width) {}

    int64_t first(int64_t band) const { return band * rows; }
    int64_t last(int64_t band) const { return std::min(first(band) + rows, task.height); }

    // Each column's last false row before a cut, and its first one after it.
    int32_t* before(int64_t image, int64_t cut) const { return edges.of(2 * (image * (count + 1) + cut)); }
    int32_t* after(int64_t image, int64_t cut) const { return edges.of(2 * (image * (count + 1) + cut) + 1); }

    void clear(int64_t image) const {
        const int64_t far = too_far(task);
        for (int64_t cut = 0; cut <= count; ++cut) {
            std::fill_n(before(image, cut), task.width, static_cast<int32_t>(-far));
            std::fill_n(after(image, cut), task.width, static_cast<int32_t>(task.height + far));
        }
    }

    // From what the bands beside each cut have to what all bands before and after it have.
    void join(int64_t image) const {
        const auto merge = [&](const int32_t* from, int32_t* to, auto nearer) {
            std::transform(from, from + task.width, to, to, nearer);
        };
        for (int64_t cut = 1; cut <= count; ++cut)
            merge(before(image, cut - 1), before(image, cut), [](int32_t a, int32_t b) { return std::max(a, b); });
        for (int64_t cut = count - 1; cut >= 0; --cut)
            merge(after(image, cut + 1), after(image, cut), [](int32_t a, int32_t b) { return std::min(a, b); });
    }

    bool has_false(int64_t image) const {
        const int32_t* rows_of_all = before(image, count);
        return std::any_of(rows_of_all, rows_of_all + task.width, [](int32_t row) { return row >= 0; });
    }
};

void fill_without_false(const DistanceTransform& task, int64_t image) {
    const int64_t pixels = task.height * task.width;
    std::fill_n(task.distance + image * pixels, pixels, std::numeric_limits<float>::infinity());
    if (task.index) std::fill_n(task.index + image * pixels, pixels, int64_t(-1));
}

}  // namespace

void distance_transform_cpu(const DistanceTransform& task, int64_t threads, int instruction_set) {
    const Bands bands(task);
    const int64_t useful = task.batch * task.height * task.width / pixels_for_a_thread + 1;
    const int64_t workers = std::clamp(threads, int64_t(1), std::min(useful, task.batch * bands.count));
    const Workspace<int64_t> workspace(workers, band_words(bands.rows, task.width));
    const auto for_each_band = [&](const auto& work) {
        for_each_task(task.batch * bands.count, workers, [&](int64_t worker, const auto& next) {
            for (int64_t i = next(); i >= 0; i = next()) work(worker, i / bands.count, i % bands.count);
        });
    };

    for (int64_t image = 0; image < task.batch; ++image) bands.clear(image);
    for_each_band([&](int64_t, int64_t image, int64_t band) {
        find_false_rows_variants[instruction_set](task, image, bands.first(band), bands.last(band),
                                                  bands.after(image, band), bands.before(image, band + 1));
    });
    for (int64_t image = 0; image < task.batch; ++image) {
        bands.join(image);
        if (!bands.has_false(image)) fill_without_false(task, image);
    }
    for_each_band([&](int64_t worker, int64_t image, int64_t band) {
        if (!bands.has_false(image)) return;
        transform_band_variants[instruction_set](task, image, bands.first(band), bands.last(band),
                                                 bands.before(image, band), bands.after(image, band + 1),
                                                 workspace.of(worker));
    });
}

}  // namespace dislayers
