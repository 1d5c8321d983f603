// Sums and slopes of pixels on the CPU: stretches of pixels over threads.
#include <algorithm>
#include <vector>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"

namespace dislayers {

VARIANTS(sum_pixels, const PixelSums& task, int64_t sample, int64_t first, double* sums)
VARIANTS(slopes_of_pixels, const PixelSlopes& task, int64_t sample, int64_t first)

namespace {

// Pixels below which a second thread costs more than it brings (about 0.1 ms).
constexpr int64_t pixels_for_a_thread = 1 << 17;

// Calls work(task, sample, first pixel) for all tasks, over threads.
template <typename Work>
void for_each_stretch(const PixelLoss& loss, int64_t threads, const Work& work) {
    const int64_t tasks_of_a_sample = (loss.pixels + pixels_of_a_task - 1) / pixels_of_a_task;
    const int64_t useful = loss.batch * loss.pixels / pixels_for_a_thread + 1;
    for_each_task(loss.batch * tasks_of_a_sample, std::min(threads, useful), [&](int64_t, const auto& next) {
        for (int64_t task = next(); task >= 0; task = next())
            work(task, task / tasks_of_a_sample, task % tasks_of_a_sample * pixels_of_a_task);
    });
}

}  // namespace

void pixel_loss_cpu(const PixelSums& task, int64_t threads, int instruction_set) {
    const int64_t sums = formula_shapes[static_cast<int>(task.loss.formula)].sums;
    const int64_t tasks_of_a_sample = (task.loss.pixels + pixels_of_a_task - 1) / pixels_of_a_task;
    std::vector<double> found(static_cast<size_t>(task.loss.batch * tasks_of_a_sample * sums));
    for_each_stretch(task.loss, threads, [&](int64_t number, int64_t sample, int64_t first) {
        sum_pixels_variants[instruction_set](task, sample, first, found.data() + number * sums);
    });
    for (size_t i = 0; i < found.size(); ++i) {
        const int64_t number = static_cast<int64_t>(i) / sums, sum = static_cast<int64_t>(i) % sums;
        task.sums[number / tasks_of_a_sample * sums + sum] += found[i];
    }
}

void pixel_loss_backward_cpu(const PixelSlopes& task, int64_t threads, int instruction_set) {
    for_each_stretch(task.loss, threads, [&](int64_t, int64_t sample, int64_t first) {
        slopes_of_pixels_variants[instruction_set](task, sample, first);
    });
}

}  // namespace dislayers
