// Dilation on the CPU: bands of rows over threads, each band in a cache-sized workspace.
#include <algorithm>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(dilate_rows, const Dilation& task, int64_t image, int64_t first, int64_t last, uint64_t* workspace,
         int64_t words)

namespace {

// Three buffers of a band should fit a core's second-level cache; rows of the halo are computed twice.
constexpr int64_t cache_words = 24 * 1024;
// Word updates below which a second thread costs more than it brings (about 0.1 ms).
constexpr int64_t updates_for_a_thread = 1 << 19;

}  // namespace

void dilate_cpu(const Dilation& task, int64_t threads, int instruction_set) {
    const int64_t stride = packed_stride(task.width);
    const int64_t fitting = cache_words / (3 * stride) - 2 * task.iterations;
    const int64_t rows = std::min(task.height, std::max({fitting, 4 * task.iterations, int64_t(16)}));
    const int64_t bands = (task.height + rows - 1) / rows;
    const int64_t words = (std::min(task.height, rows + 2 * task.iterations) + 2 * most_reach) * stride;
    // So many iterations may be asked for that 64 bits do not hold their updates.
    const double words_of_all = static_cast<double>(task.batch * task.height * stride);
    const double updates = words_of_all * static_cast<double>(task.iterations + 8);
    const double most = static_cast<double>(std::max(threads, int64_t(1)));
    const int64_t useful = static_cast<int64_t>(std::clamp(updates / updates_for_a_thread, 1.0, most));

    const int64_t workers = std::min(useful, task.batch * bands);
    const Workspace<uint64_t> workspace(workers, 3 * words);
    for_each_task(task.batch * bands, workers, [&](int64_t worker, const auto& next) {
        for (int64_t band = next(); band >= 0; band = next()) {
            const int64_t image = band / bands, first = band % bands * rows, last = std::min(first + rows, task.height);
            dilate_rows_variants[instruction_set](task, image, first, last, workspace.of(worker), words);
        }
    });
}

}  // namespace dislayers
