// Skeletons on the CPU: images over threads, or one image after the other in bands.
#include <algorithm>

#include "api.h"
#include "skeletonize_bands.h"

namespace dislayers {

namespace {

// A band has at least so many pixels and rows: where others keep the processor busy, a thread may start milliseconds
// late, and with less to do one thread would be done by then.
constexpr int64_t pixels_for_a_thread = 3 << 19, rows_for_a_thread = 128;

// A sixteenth of a band is thinned twice at most, unless bands would meet too often.
int64_t halo_of(int64_t rows) { return std::max(rows / 16, int64_t(32)) / 2 * 2; }

void thin_images(const Thinning& task, int64_t threads, int set) {
    const Frame frame = framed(task.height, task.width);
    const int64_t workers = std::clamp(threads, int64_t(1), task.batch);
    const Workspace<uint64_t> words(workers, thinning_words(frame));
    for_each_task(task.batch, workers, [&](int64_t worker, const auto& next) {
        const Band whole = band_in(words.of(worker), frame, 0, 0);
        for (int64_t image = next(); image >= 0; image = next()) {
            bool removing = true;
            pack_band_variants[set](task, image, 0, whole);
            thin_band_variants[set](whole, INT64_MAX, removing);
            unpack_band_variants[set](task, image, 0, whole);
        }
    });
}

}  // namespace

void skeletonize_cpu(const Thinning& task, int64_t threads, int instruction_set) {
    const int64_t bands = std::min(
        {threads, task.height * task.width / pixels_for_a_thread, task.height / rows_for_a_thread});
    if (bands <= std::max(task.batch, int64_t(1))) return thin_images(task, threads, instruction_set);
    BandedThinning thinning(task, bands, halo_of(task.height / bands), instruction_set);
    for (int64_t image = 0; image < task.batch; ++image) thinning.skeletonize(image, bands);
}

}  // namespace dislayers
