// Skeletons on the CPU: images over threads.
#include <algorithm>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(skeletonize_image, const Thinning& task, int64_t image, uint64_t* words)

void skeletonize_cpu(const Thinning& task, int64_t threads, int instruction_set) {
    const Frame frame = framed(task.height, task.width);
    const int64_t workers = std::clamp(threads, int64_t(1), task.batch);
    const Workspace<uint64_t> words(workers, thinning_words(frame));
    for_each_task(task.batch, workers, [&](int64_t worker, const auto& next) {
        for (int64_t image = next(); image >= 0; image = next())
            skeletonize_image_variants[instruction_set](task, image, words.of(worker));
    });
}

}  // namespace dislayers
