// Upsampling beside a skip connection on the CPU: bands of rows over threads. Each number comes from one band.
#include <algorithm>
#include <vector>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "resizing.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(upsample_band, const UpsampleConcat& task, const UpsampleBand& band, float* room)
VARIANTS(gather_band, const UpsampleConcat& task, const UpsampleBand& band, float* room)

namespace {

// About how many full pixels, of all channels, a band has.
constexpr int64_t numbers_of_a_band = 1 << 15;

// Numbers below which a second thread costs more than it brings (about 0.05 ms).
constexpr int64_t numbers_for_a_thread = 1 << 16;

// A resizing, and its shares as low numbers see them.
class BothWays {
   public:
    BothWays(int64_t low, int64_t full) : resizing_(low, full) {
        const Axis axis = resizing_.axis();
        for (int64_t i = 0; i < low; ++i) {
            begin_.push_back(static_cast<int32_t>(share_.size()));
            first_.push_back(axis.begin[std::max<int64_t>(i - 1, 0)]);
            for (int64_t x = first_.back(); x < axis.begin[i]; ++x) share_.push_back(axis.weight[x]);
            // Behind the last number stands that number once more.
            for (int64_t x = axis.begin[i]; x < axis.begin[i + 1]; ++x)
                share_.push_back(i + 1 < low ? 1.0f - axis.weight[x] : 1.0f);
        }
        begin_.push_back(static_cast<int32_t>(share_.size()));
    }

    Axis axis() const { return resizing_.axis(); }
    Shares shares() const { return {first_.data(), begin_.data(), share_.data()}; }

   private:
    Resizing resizing_;
    std::vector<int32_t> first_, begin_;
    std::vector<float> share_;
};

// Bands of `rows` rows of `channels` channels.
template <typename Kernel>
void run(const UpsampleConcat& task, Kernel kernel, int64_t rows, int64_t channels, int64_t threads) {
    const BothWays vertical(task.height, task.full_height), horizontal(task.width, task.full_width);
    UpsampleBand whole = {vertical.axis(), horizontal.axis(), vertical.shares(), horizontal.shares(), 0, 0, 0, 0};
    const int64_t planes = task.channels_last ? 1 : channels, width = task.full_width * channels / planes;
    const int64_t pitch = std::max<int64_t>(1, numbers_of_a_band * rows / (task.full_height * width));
    const int64_t bands = (rows + pitch - 1) / pitch, count = task.batch * planes * bands;
    const int64_t numbers = task.batch * channels * task.full_height * task.full_width;
    const int64_t workers = std::min({threads, count, numbers / numbers_for_a_thread + 1});
    const int64_t room = task.channels_last ? task.width * task.channels : 2 * room_of_full_row(task.full_width) + task.width + 2 * low_margin;
    const Workspace<float> rooms(workers, room);
    for_each_task(count, workers, [&](int64_t worker, const auto& next) {
        UpsampleBand band = whole;
        for (int64_t i = next(); i >= 0; i = next()) {
            band.sample = i / bands / planes;
            band.channel = i / bands % planes;
            band.first = i % bands * pitch;
            band.last = std::min(band.first + pitch, rows);
            kernel(task, band, rooms.of(worker));
        }
    });
}

}  // namespace

void upsample_concat_cpu(const UpsampleConcat& task, int64_t threads, int instruction_set) {
    const int64_t channels = task.channels + task.skip_channels;
    run(task, upsample_band_variants[instruction_set], task.full_height, channels, threads);
}

void upsample_concat_backward_cpu(const UpsampleConcat& task, int64_t threads, int instruction_set) {
    run(task, gather_band_variants[instruction_set], task.height, task.channels, threads);
}

}  // namespace dislayers
