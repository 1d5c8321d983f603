// Maps of clicks on the CPU: tiles over threads.
#include <algorithm>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(click_tile, const ClickMaps& task, int64_t map, int64_t row, int64_t column, float* room)

void click_maps_cpu(const ClickMaps& task, int64_t threads, int instruction_set) {
    // Below so many pixels a second thread costs more than it brings.
    constexpr int64_t pixels_for_a_thread = 1 << 16;
    const int64_t down = (task.height + click_tile_rows - 1) / click_tile_rows;
    const int64_t across = (task.width + click_tile_columns - 1) / click_tile_columns;
    const int64_t useful = task.maps * task.height * task.width / pixels_for_a_thread + 1;
    const int64_t workers = std::min(threads, useful);
    const Workspace<float> rooms(workers, task.count * click_room);
    const auto fill = click_tile_variants[instruction_set];
    for_each_task(task.maps * down * across, workers, [&](int64_t worker, const auto& next) {
        for (int64_t i = next(); i >= 0; i = next()) {
            const int64_t row = i / across % down * click_tile_rows, column = i % across * click_tile_columns;
            fill(task, i / (down * across), row, column, rooms.of(worker));
        }
    });
}

}  // namespace dislayers
