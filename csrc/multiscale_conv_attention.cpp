// Multi-scale depthwise convolutions on the CPU: tiles over threads. What tiles give to the parameters is added in
// their order, so that the number of threads changes nothing.
#include <algorithm>
#include <vector>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(convolve_tile, const MultiscaleDepthwise& task, const FeatureTile& tile, float* room)
VARIANTS(differentiate_tile, const MultiscaleDepthwise& task, const FeatureTile& tile, float* room)

namespace {

// About how many columns a tile has: wide enough for its borders, narrow enough for the cache.
constexpr int64_t columns_of_a_tile = 64;

// Numbers of a map below which a second thread costs more than it brings (about 0.05 ms).
constexpr int64_t numbers_for_a_thread = 1 << 14;

std::vector<FeatureTile> tiles_of(const MultiscaleDepthwise& task, int64_t lanes) {
    const int64_t count = std::max<int64_t>(1, task.width / columns_of_a_tile);
    const int64_t columns = (task.width + count - 1) / count;
    std::vector<FeatureTile> tiles;
    for (int64_t channel = 0; channel < task.channels; channel += lanes)
        for (int64_t sample = 0; sample < task.batch; ++sample)
            for (int64_t first = 0; first < task.width; first += columns)
                tiles.push_back({sample, channel, first, std::min(first + columns, task.width), nullptr});
    return tiles;
}

template <typename Kernel>
void run(const MultiscaleDepthwise& task, const std::vector<FeatureTile>& tiles, Kernel kernel, int64_t lanes,
         int64_t threads) {
    const int64_t count = static_cast<int64_t>(tiles.size());
    const int64_t numbers = task.batch * task.channels * task.height * task.width;
    const int64_t workers = std::min({threads, count, numbers / numbers_for_a_thread + 1});
    int64_t columns = 0;
    for (const FeatureTile& tile : tiles) columns = std::max(columns, tile.last - tile.first);
    const Workspace<float> rooms(workers, lanes * room_of_tile(task, columns));
    for_each_task(count, workers, [&](int64_t worker, const auto& next) {
        for (int64_t i = next(); i >= 0; i = next()) kernel(task, tiles[static_cast<size_t>(i)], rooms.of(worker));
    });
}

}  // namespace

void multiscale_depthwise_cpu(const MultiscaleDepthwise& task, int64_t threads, int instruction_set) {
    const int64_t lanes = lanes_of_sets[instruction_set];
    run(task, tiles_of(task, lanes), convolve_tile_variants[instruction_set], lanes, threads);
}

void multiscale_depthwise_backward_cpu(const MultiscaleDepthwise& task, int64_t threads, int instruction_set) {
    const int64_t lanes = lanes_of_sets[instruction_set], parameters = parameters_of_a_channel(task);
    std::vector<FeatureTile> tiles = tiles_of(task, lanes);
    std::vector<float> room(tiles.size() * static_cast<size_t>(parameters * lanes));
    float* free = room.data();
    for (FeatureTile& tile : tiles) tile.parameter_gradients = free, free += parameters * lanes;
    run(task, tiles, differentiate_tile_variants[instruction_set], lanes, threads);
    std::fill_n(task.parameter_gradients, task.channels * parameters, 0.0f);
    for (const FeatureTile& tile : tiles)
        for (int64_t c = 0; c < std::min(lanes, task.channels - tile.channel); ++c) {
            float* sums = task.parameter_gradients + (tile.channel + c) * parameters;
            for (int64_t t = 0; t < parameters; ++t) sums[t] += tile.parameter_gradients[t * lanes + c];
        }
}

}  // namespace dislayers
