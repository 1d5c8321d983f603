// The GELU of a depthwise convolution on the CPU: bands over threads. What bands give to the parameters is added in
// their order, so that the number of threads changes nothing.
#include <algorithm>
#include <vector>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(activate_hidden, const DepthwiseGelu& task, const HiddenBand& band, float* room)
VARIANTS(differentiate_hidden, const DepthwiseGelu& task, const HiddenBand& band, float* room)

namespace {

// Most rows of a band, and about how many numbers a row of it has: three rows of each map stay in a core's cache.
// Backward, the rows around a band are computed twice.
struct Cut {
    int64_t rows, numbers_of_a_row;
};
constexpr Cut forward = {16, 1 << 15}, backward = {32, 1 << 13};

// Numbers of a map below which a second thread costs more than it brings (about 0.05 ms).
constexpr int64_t numbers_for_a_thread = 1 << 15;

int64_t shared_evenly(int64_t whole, int64_t most) {
    const int64_t parts = (whole + most - 1) / most;
    return (whole + parts - 1) / parts;
}

std::vector<HiddenBand> bands_of(const DepthwiseGelu& task, const Cut& cut, int64_t lanes) {
    const int64_t rows = shared_evenly(task.height, cut.rows), vectors = vectors_of(task.channels, lanes);
    const int64_t most_vectors = std::max<int64_t>(1, cut.numbers_of_a_row / task.width / lanes);
    const int64_t channels = lanes * shared_evenly(vectors, most_vectors);
    std::vector<HiddenBand> bands;
    for (int64_t sample = 0; sample < task.batch; ++sample)
        for (int64_t top = 0; top < task.height; top += rows)
            for (int64_t channel = 0; channel < task.channels; channel += channels)
                bands.push_back({sample, channel, std::min(channels, task.channels - channel), top,
                                 std::min(top + rows, task.height), nullptr});
    return bands;
}

template <typename Kernel>
void run(const DepthwiseGelu& task, const std::vector<HiddenBand>& bands, Kernel kernel, int64_t lanes,
         int64_t threads) {
    const int64_t count = static_cast<int64_t>(bands.size());
    const int64_t numbers = task.batch * task.channels * task.height * task.width;
    const int64_t workers = std::min({threads, count, numbers / numbers_for_a_thread + 1});
    const int64_t vectors = vectors_of(bands.front().channels, lanes);
    const Workspace<float> rooms(workers, lanes * room_of_band(vectors, task.width, task.gradient.data ? 2 : 1));
    for_each_task(count, workers, [&](int64_t worker, const auto& next) {
        for (int64_t i = next(); i >= 0; i = next()) kernel(task, bands[static_cast<size_t>(i)], rooms.of(worker));
    });
}

void add_sums(const DepthwiseGelu& task, const HiddenBand& band, int64_t lanes) {
    for (int64_t c = 0; c < band.channels; ++c) {
        const float* sums = band.sums + c / lanes * parameters_of_hidden * lanes + c % lanes;
        float* of_weight = task.weight_gradient + (band.channel + c) * taps_of_hidden;
        for (int64_t t = 0; t < taps_of_hidden; ++t) of_weight[t] += sums[t * lanes];
        task.bias_gradient[band.channel + c] += sums[taps_of_hidden * lanes];
    }
}

}  // namespace

void depthwise_gelu_cpu(const DepthwiseGelu& task, int64_t threads, int instruction_set) {
    const int64_t lanes = lanes_of_sets[instruction_set];
    run(task, bands_of(task, forward, lanes), activate_hidden_variants[instruction_set], lanes, threads);
}

void depthwise_gelu_backward_cpu(const DepthwiseGelu& task, int64_t threads, int instruction_set) {
    const int64_t lanes = lanes_of_sets[instruction_set];
    std::vector<HiddenBand> bands = bands_of(task, backward, lanes);
    const int64_t most = vectors_of(bands.front().channels, lanes) * parameters_of_hidden * lanes;
    std::vector<float> room(bands.size() * static_cast<size_t>(most));
    float* free = room.data();
    for (HiddenBand& band : bands) band.sums = free, free += most;
    run(task, bands, differentiate_hidden_variants[instruction_set], lanes, threads);
    std::fill_n(task.weight_gradient, task.channels * taps_of_hidden, 0.0f);
    std::fill_n(task.bias_gradient, task.channels, 0.0f);
    for (const HiddenBand& band : bands) add_sums(task, band, lanes);
}

}  // namespace dislayers
