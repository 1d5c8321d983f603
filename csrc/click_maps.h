// Maps of clicks: disks, distances or gaussians about the nearest click of every pixel.
#pragma once

#include "host_device.h"

#include <cstdint>

namespace dislayers {

enum class ClickEncoding { disk, distance, gaussian };

// `points` is dense, (maps, count, 2): rows and columns, infinite where there is no click. `out` is dense. Beyond
// `squared_reach` a click changes nothing.
struct ClickMaps {
    const float* points;
    int64_t count;
    float* out;
    int64_t maps, height, width;
    ClickEncoding encoding;
    float radius, squared_reach;
};

// A map is filled tile by tile.
constexpr int64_t click_tile_rows = 64, click_tile_columns = 256;

// Scratch memory for a tile of one click.
constexpr int64_t click_room = click_tile_rows + click_tile_columns;

}  // namespace dislayers
