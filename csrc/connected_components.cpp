// Connected components on the CPU: images over threads.
#include <algorithm>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(label_image, const Labelling& task, int64_t image, const Runs& runs)

void connected_components_cpu(const Labelling& task, int64_t threads, int instruction_set) {
    // Room for the most runs; pages that no run comes to are never touched.
    const int64_t workers = std::clamp(threads, int64_t(1), task.batch), most = most_runs(task.height, task.width);
    const Workspace<int32_t> columns(workers, 2 * most + overshoot), parents(workers, most);
    const Workspace<int64_t> firsts(workers, task.height + 1);
    for_each_task(task.batch, workers, [&](int64_t worker, const auto& next) {
        const Runs runs = {columns.of(worker), parents.of(worker), firsts.of(worker)};
        for (int64_t image = next(); image >= 0; image = next())
            label_image_variants[instruction_set](task, image, runs);
    });
}

}  // namespace dislayers
