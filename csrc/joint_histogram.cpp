// Joint histograms on the CPU: bands of rows over threads, their counts added in the end.
#include <algorithm>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(count_rows, const JointCounting& task, int64_t image, int64_t first, int64_t last, int64_t* counts)

namespace {

// Pixels below which a second thread costs more than it brings (about 0.1 ms).
constexpr int64_t pixels_for_a_thread = 1 << 19;

}  // namespace

void joint_histogram_cpu(const JointCounting& task, int64_t threads, int instruction_set) {
    const int64_t useful = std::clamp(task.batch * task.height * task.width / pixels_for_a_thread, int64_t(1),
                                      std::max(threads, int64_t(1)));
    const int64_t bands = std::min((useful + task.batch - 1) / task.batch, task.height);
    const int64_t rows = (task.height + bands - 1) / bands, steps = steps_of(task), tasks = task.batch * bands;
    const Workspace<int64_t> scratch(std::min(useful, tasks), joint_counts(task)), counts(tasks, 2 * steps);
    for_each_task(tasks, useful, [&](int64_t worker, const auto& next) {
        for (int64_t band = next(); band >= 0; band = next()) {
            const int64_t image = band / bands, first = std::min(band % bands * rows, task.height);
            const int64_t last = std::min(first + rows, task.height);
            count_rows_variants[instruction_set](task, image, first, last, scratch.of(worker));
            std::copy_n(scratch.of(worker), 2 * steps, counts.of(band));
        }
    });

    std::fill_n(task.counts, task.batch * 2 * task.bins, int64_t(0));
    for (int64_t band = 0; band < tasks; ++band)
        for (int64_t i = 0; i < 2 * steps; ++i) {
            const int64_t bin = task.pred.values == Values::uint8 ? i % steps * task.bins / steps : i % steps;
            task.counts[(band / bands * 2 + i / steps) * task.bins + bin] += counts.of(band)[i];
        }
}

}  // namespace dislayers
