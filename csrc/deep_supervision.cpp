// Deep supervision on the CPU: bands of rows over threads. What bands give is joined in their order, so that the number
// of threads changes nothing.
#include <algorithm>
#include <deque>
#include <tuple>
#include <vector>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "resizing.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(sum_band, const DeepSupervision& task, const SideBand& band, float* room)
VARIANTS(differentiate_band, const DeepSupervision& task, const SideBand& band, float* room)

namespace {

// About how many rows of full resolution a band has.
constexpr int64_t rows_of_a_band = 64;

// Pixels below which a second thread costs more than it brings (about 0.1 ms).
constexpr int64_t pixels_for_a_thread = 1 << 17;

// A task cut into bands; those of the same rows stand side by side, so that their labels stay in the cache.
class Bands {
   public:
    explicit Bands(const DeepSupervision& task) : task_(task) {
        for (int64_t i = 0; i < task.count; ++i) cut(i);
        std::stable_sort(all.begin(), all.end(), [](const SideBand& a, const SideBand& b) {
            return std::make_tuple(a.sample, a.rows.begin[a.first]) < std::make_tuple(b.sample, b.rows.begin[b.first]);
        });
    }

    template <typename Kernel>
    void run(Kernel kernel, int64_t threads) const {
        const int64_t pixels = task_.count * task_.batch * task_.height * task_.width;
        const int64_t count = static_cast<int64_t>(all.size());
        const int64_t workers = std::min({threads, count, pixels / pixels_for_a_thread + 1});
        const Workspace<float> rooms(workers, 5 * supervision_row(task_.width) + longest_ + 2 * low_margin);
        for_each_task(count, workers, [&](int64_t worker, const auto& next) {
            for (int64_t i = next(); i >= 0; i = next()) kernel(task_, all[static_cast<size_t>(i)], rooms.of(worker));
        });
    }

    std::vector<SideBand> all;

   private:
    void cut(int64_t number) {
        const SideOutput& side = task_.sides[number];
        const Axis rows = resizings_.emplace_back(side.height, task_.height).axis();
        const Axis columns = resizings_.emplace_back(side.width, task_.width).axis();
        longest_ = std::max(longest_, side.width);
        const int64_t step = std::max<int64_t>(1, rows_of_a_band * side.height / task_.height);
        for (int64_t sample = 0; sample < task_.batch; ++sample) {
            const int64_t start = sample * side.height * side.width, result = number * task_.batch + sample;
            float* gradient = side.gradient ? side.gradient + start : nullptr;
            const SideOutput own = {side.logits + start, gradient, side.height, side.width};
            for (int64_t first = 0; first < side.height; first += step) {
                const int64_t last = std::min(first + step, side.height);
                all.push_back({own, rows, columns, sample, first, last, result, nullptr, nullptr});
            }
        }
    }

    const DeepSupervision& task_;
    std::deque<Resizing> resizings_;
    int64_t longest_ = 0;
};

}  // namespace

void deep_supervision_cpu(const DeepSupervision& task, int64_t threads, int instruction_set) {
    const int64_t sums = formula_shapes[static_cast<int>(task.formula)].sums;
    Bands bands(task);
    std::vector<double> room(bands.all.size() * static_cast<size_t>(sums));
    double* free = room.data();
    for (SideBand& band : bands.all) band.sums = free, free += sums;
    bands.run(sum_band_variants[instruction_set], threads);
    std::fill_n(task.sums, task.count * task.batch * sums, 0.0);
    for (const SideBand& band : bands.all)
        for (int64_t i = 0; i < sums; ++i) task.sums[band.result * sums + i] += band.sums[i];
}

void deep_supervision_backward_cpu(const DeepSupervision& task, int64_t threads, int instruction_set) {
    Bands bands(task);
    int64_t seams = 0;
    for (const SideBand& band : bands.all) seams += band.side.width;
    std::vector<float> room(static_cast<size_t>(seams));
    float* free = room.data();
    for (SideBand& band : bands.all) band.seam = free, free += band.side.width;
    bands.run(differentiate_band_variants[instruction_set], threads);
    for (const SideBand& band : bands.all) {
        float* row = band.side.gradient + std::min(band.last, band.side.height - 1) * band.side.width;
        for (int64_t x = 0; x < band.side.width; ++x) row[x] += band.seam[x];
    }
}

}  // namespace dislayers
