// Moments on the CPU: images over threads.
#include "api.h"
#include "instruction_set.h"
#include "parallel.h"

namespace dislayers {

VARIANTS(sum_image, const Summation& task, int64_t image)

void moments_cpu(const Summation& task, int64_t threads, int instruction_set) {
    for_each_task(task.batch, threads, [&](int64_t, const auto& next) {
        for (int64_t image = next(); image >= 0; image = next()) sum_image_variants[instruction_set](task, image);
    });
}

}  // namespace dislayers
