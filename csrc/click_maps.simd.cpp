// A tile of a map of clicks. Squared offsets along rows and columns are written to memory before they are added: a
// compiler that made one multiply-add of both would round otherwise than the official code, and move the edge of a disk.
#include "transcendental.simd.h"

#include <math.h>

#include "click_maps.h"
#include "instruction_set.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Pixels of a tile along one axis.
struct Stretch {
    int32_t first, count;
};

Stretch stretch(int64_t first, int64_t most, int64_t length) {
    const int64_t left = length - first;
    return {static_cast<int32_t>(first), static_cast<int32_t>(left < most ? left : most)};
}

void square_offsets(Stretch pixels, float click, float* __restrict squares) {
    for (int32_t i = 0; i < pixels.count; ++i) {
        const float offset = static_cast<float>(pixels.first + i) - click;
        squares[i] = offset * offset;
    }
}

// At most the squared offset of any pixel: rounding keeps order.
float least_square(Stretch pixels, float click) {
    const float first = static_cast<float>(pixels.first), last = static_cast<float>(pixels.first + pixels.count - 1);
    const float offset = click < first ? first - click : click > last ? last - click : 0;
    return offset * offset;
}

// tanh x of a positive number.
float hyperbolic_tangent(float x) {
    const float square = x * x;
    float p = -5.70498872745e-3f;
    p = p * square + 2.06390887954e-2f;
    p = p * square - 5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square - 3.33332819422e-1f;
    const float small = p * square * x + x, large = 1 - 2 / (exponential(2 * x) + 1);
    return x < 0.625f ? small : large;
}

// Least squared distances of a tile's row `y`, unless none of its `near` clicks reaches that row.
bool nearest(const float* room, int64_t near, int32_t y, int32_t columns, float reach, float* __restrict least) {
    bool reached = false;
    for (const float* click = room; near > 0; --near, click += click_room) {
        const float down = click[y], *across = click + click_tile_rows;
        if (down > reach) continue;
        if (!reached) {
            for (int32_t x = 0; x < columns; ++x) least[x] = down + across[x];
        } else {
            for (int32_t x = 0; x < columns; ++x) {
                const float squared = down + across[x];
                least[x] = squared < least[x] ? squared : least[x];
            }
        }
        reached = true;
    }
    return reached;
}

// What is beyond the reach of every click; with `unknown`, what a coordinate of NaN makes of a map.
float background(ClickEncoding encoding, bool unknown) {
    if (encoding == ClickEncoding::disk) return 0;
    if (unknown) return NAN;
    return encoding == ClickEncoding::distance ? 1 : 0;
}

// A row from squared distances.
FLATTENED void encode(const ClickMaps& task, const float* __restrict squares, int32_t count, float* __restrict out) {
    const float reach = task.squared_reach;
    switch (task.encoding) {
        case ClickEncoding::disk:
            for (int32_t x = 0; x < count; ++x) out[x] = squares[x] <= reach ? 1.0f : 0.0f;
            break;
        case ClickEncoding::distance: {
            const float factor = 2 / task.radius;
            for (int32_t x = 0; x < count; ++x)
                out[x] = hyperbolic_tangent(sqrtf(squares[x] < reach ? squares[x] : reach) * factor);
            break;
        }
        case ClickEncoding::gaussian: {
            const float factor = -0.5f / (task.radius * task.radius);
            for (int32_t x = 0; x < count; ++x) {
                const float height = exponential(squares[x] * factor);
                out[x] = squares[x] <= reach ? height : 0.0f;
            }
        }
    }
}

}  // namespace

void click_tile(const ClickMaps& task, int64_t map, int64_t row, int64_t column, float* room) {
    const Stretch rows = stretch(row, click_tile_rows, task.height);
    const Stretch columns = stretch(column, click_tile_columns, task.width);
    const float reach = task.squared_reach;
    int64_t near = 0;
    bool unknown = false;
    for (int64_t i = 0; i < task.count; ++i) {
        const float* click = task.points + 2 * (map * task.count + i);
        unknown |= click[0] != click[0] || click[1] != click[1];
        if (!(least_square(rows, click[0]) + least_square(columns, click[1]) <= reach)) continue;
        float* squares = room + near++ * click_room;
        square_offsets(rows, click[0], squares);
        square_offsets(columns, click[1], squares + click_tile_rows);
    }
    const float empty = background(task.encoding, unknown);
    if (unknown) near = 0;
    for (int32_t y = 0; y < rows.count; ++y) {
        float* out = task.out + (map * task.height + row + y) * task.width + column;
        float least[click_tile_columns];
        if (nearest(room, near, y, columns.count, reach, least)) {
            encode(task, least, columns.count, out);
        } else {
            for (int32_t x = 0; x < columns.count; ++x) out[x] = empty;
        }
    }
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
