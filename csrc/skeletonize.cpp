// Skeletons on the CPU: images over threads.
#include <algorithm>
#include <memory>

#include "api.h"
#include "instruction_set.h"
#include "packed.h"
#include "parallel.h"

namespace dislayers {

#define DECLARE(SET)                                                                              \
    namespace SET {                                                                               \
    void skeletonize_image(const Thinning& task, int64_t image, uint64_t* words, uint8_t* flags); \
    }
EVERY_INSTRUCTION_SET(DECLARE)
#undef DECLARE

namespace {

#define ENTRY(SET) SET::skeletonize_image,
constexpr decltype(&baseline::skeletonize_image) variants[] = {EVERY_INSTRUCTION_SET(ENTRY)};
#undef ENTRY

}  // namespace

void skeletonize_cpu(const Thinning& task, int64_t threads, int instruction_set) {
    struct alignas(64) Line {
        uint64_t words[8];
    };
    const int64_t packed = packed_stride(task.width);
    const int64_t words = thinning_words(task.height, packed), flags = thinning_flags(task.height, packed);
    const int64_t workers = std::clamp(threads, int64_t(1), task.batch);
    const std::unique_ptr<Line[]> workspace(new Line[static_cast<size_t>(workers * words / 8)]);
    const std::unique_ptr<uint8_t[]> workspace_flags(new uint8_t[static_cast<size_t>(workers * flags)]);
    std::atomic<int64_t> worker{0};
    for_each_task(task.batch, workers, [&](const auto& next) {
        const int64_t own = worker.fetch_add(1);
        for (int64_t image = next(); image >= 0; image = next())
            variants[instruction_set](task, image, workspace[0].words + own * words, workspace_flags.get() + own * flags);
    });
}

}  // namespace dislayers
