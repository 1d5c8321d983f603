// The columns of some channels of a map, and the windows through which their rows pass; for `<op>.simd.cpp` only.
#pragma once

#include "lanes.simd.h"
#include "multiscale_conv_attention.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr int64_t step = rows_of_a_step;

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Rows of which the last `step` are new in every step.
struct Window {
    Lanes* data;
    int64_t rows, columns, pitch;

    Lanes* row(int64_t i) const { return data + i * pitch; }
    void clear_row(int64_t i) const { memset(row(i), 0, static_cast<size_t>(columns) * sizeof(Lanes)); }
    void clear_past() const {
        for (int64_t i = 0; i < rows - step; ++i) clear_row(i);
    }
    void advance() const {
        for (int64_t i = 0; i < rows - step; ++i)
            memcpy(row(i), row(i + step), static_cast<size_t>(columns) * sizeof(Lanes));
    }
    // Zeros where columns from `first` on are not those of an image.
    void clear_outside(int64_t i, int64_t first, int64_t width) const {
        for (int64_t c = 0; c < least(-first, columns); ++c) row(i)[c] = Lanes{};
        for (int64_t c = most(width - first, 0); c < columns; ++c) row(i)[c] = Lanes{};
    }
};

struct Room {
    Lanes* free;

    Lanes* take(int64_t count) {
        Lanes* const taken = free;
        free += count;
        return taken;
    }
    Window window(int64_t rows, int64_t columns) {
        return {take(rows * pitch_of(columns)), rows, columns, pitch_of(columns)};
    }
};

// A strip's numbers among the parameters of a channel.
struct Strip {
    int64_t size, reach, row, row_bias, column, column_bias;
};

// What both directions know of a tile.
struct Tile {
    const MultiscaleDepthwise& task;
    const FeatureTile& place;
    const int64_t columns, channels, half, reach;  // of the square, and of the longest strip
    const Lanes* const parameters;
    Strip strips[most_strips];

    Tile(const MultiscaleDepthwise& task, const FeatureTile& place, Room& room)
        : task(task), place(place), columns(place.last - place.first),
          channels(least(lanes, task.channels - place.channel)), half(task.size / 2), reach(reach_of_strips(task)),
          parameters(read_parameters(room)) {
        int64_t next = task.size * task.size + 1;
        for (int64_t i = 0; i < task.strip_count; ++i) {
            const int64_t size = task.strips[i];
            strips[i] = {size, size / 2, next, next + size, next + size + 1, next + 2 * size + 1};
            next += 2 * (size + 1);
        }
    }

    const Lanes* read_parameters(Room& room) const {
        const int64_t count = parameters_of_a_channel(task);
        Lanes* read = room.take(count);
        gather(task.parameters + place.channel * count, count, 1, channels, count, read);
        return read;
    }

    bool has_row(int64_t y) const { return y >= 0 && y < task.height; }

    float* address(const FeatureMap& map, int64_t y, int64_t x) const {
        return map.data + place.sample * map.batch_stride + place.channel * map.channel_stride + y * map.row_stride +
               x * map.column_stride;
    }

    // The row y of a map into row i of a window that begins `border` columns before the tile.
    void read(const FeatureMap& map, int64_t y, const Window& window, int64_t i, int64_t border) const {
        if (!has_row(y)) return window.clear_row(i);
        const int64_t first = place.first - border, from = most(first, 0);
        const int64_t count = least(first + window.columns, task.width) - from;
        window.clear_outside(i, first, task.width);
        gather(address(map, y, from), map.channel_stride, map.column_stride, channels, count,
               window.row(i) + from - first);
    }

    void write(const Lanes* row, const FeatureMap& map, int64_t y) const {
        scatter(row, columns, address(map, y, place.first), map.channel_stride, map.column_stride, channels);
    }
};

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
