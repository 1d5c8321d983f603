// The passes of the multi-scale depthwise convolutions over a tile in shared memory, forward and back; for `.cu` only.
#pragma once

#include "depthwise.cuda.h"
#include "multiscale_conv_attention.h"

namespace dislayers {
namespace {

constexpr int tile = static_cast<int>(gpu_tile), quantum = static_cast<int>(gpu_quantum);

// A strip among others. `before` are the lengths of those before it; its row and its column begin there among the
// parameters of a channel, what its rows give after so many rows of others, its taps after so many of other columns.
template <int square, int own_index, int before, int own_length>
struct Strip {
    static constexpr int index = own_index, length = own_length, reach = length / 2, taps_before = before + index;
    static constexpr int row = square * square + 1 + 2 * taps_before, column = row + length + 1;
    static constexpr int rows_before = index * (tile - 1) + before;
};

template <int square, int index, int before, int length, int... more, typename Visit>
__device__ void visit_strips(const Visit& visit) {
    visit(Strip<square, index, before, length>{});
    if constexpr (sizeof...(more) > 0) visit_strips<square, index + 1, before + length, more...>(visit);
}

template <int... numbers>
HOST_DEVICE constexpr int largest() {
    int result = 0;
    ((result = numbers > result ? numbers : result), ...);
    return result;
}

// The passes over a tile, for kernels of one choice of sizes.
template <int size, int... strips>
struct Passes {
    static constexpr int margin = size / 2, reach = largest<strips...>() / 2;
    static constexpr int side = tile + 2 * reach, side_pitch = pitch_of_tile(side), pitch = pitch_of_tile(tile);
    static constexpr int strip_count = sizeof...(strips), parameters = size * size + 1 + 2 * ((strips + 1) + ...);
    static constexpr int parameter_room = (parameters + 3) / 4 * 4;
    static constexpr int rows_of_square = 7, rows_of_column = 16, columns_of_row = 8, columns_of_taps = 16;
    static constexpr int items = tile * tile / rows_of_column;

    // Floats of shared memory: a or the gradient with its borders; what rows give, of all strips one above the other;
    // what goes into rows backward, likewise.
    static constexpr int of_side = side * side_pitch, of_tile = tile * pitch;
    static constexpr int of_rows = (strip_count * (tile - 1) + (strips + ...)) * pitch;
    static constexpr int of_columns = strip_count * tile * side_pitch;
    static constexpr int of_square = (tile + 2 * margin) * pitch_of_tile(tile + 2 * margin);
    static constexpr int parameters_of_square = size * size + 1, parameters_of_columns = ((strips + 1) + ...);
    static constexpr int x_side = side + 2 * margin, of_x = x_side * pitch_of_tile(x_side);
    static_assert(of_x <= of_rows, "x lies where the rows of strips will");

    template <typename Visit>
    static __device__ void for_each_strip(const Visit& visit) {
        visit_strips<size, 0, 0, strips...>(visit);
    }

    // extent x extent numbers of a from x, which reaches farther by the margin; zeros outside the image. (top, left)
    // is where a begins in it.
    template <int extent, int rows>
    static __device__ void square(const float* x, const float* numbers, const Extent& image, int top, int left,
                                  float* a) {
        constexpr int quads = extent / 4, blocks = (extent + rows - 1) / rows;
        constexpr int x_pitch = pitch_of_tile(extent + 2 * margin), a_pitch = pitch_of_tile(extent);
        static_assert(extent % 4 == 0 && extent % rows == 0, "whole blocks");
        float weights[size * size];
        load(numbers, weights);
        const float bias = numbers[size * size];
        for_each<quads * blocks>([&](int i) {
            const int row = i / quads * rows, column = i % quads * 4;
            float out[rows][4];
#pragma unroll
            for (int r = 0; r < rows; ++r) fill(out[r], bias);
            for_each_in_square<size, rows>(x + row * x_pitch + column, x_pitch, [&](auto& window, int j, int r) {
                convolve_square_row<size>(window, weights + j * size, out[r]);
            });
#pragma unroll
            for (int r = 0; r < rows; ++r) {
                const bool has_row = image.has_row(top + row + r);
#pragma unroll
                for (int c = 0; c < 4; ++c)
                    if (!has_row || !image.has_column(left + column + c)) out[r][c] = 0;
                store_quad(a + (row + r) * a_pitch + column, out[r]);
            }
        });
    }

    // Rows of all strips, from a with its borders: each as far up and down as its column reaches.
    static __device__ void rows(const float* a, const float* numbers, const Extent& image, int top, int left,
                                float* out) {
        for_each<side * (tile / columns_of_row)>([&](int i) {
            const int row = i % side, column = i / side * columns_of_row;
            if (!image.has_column(left + column)) return;
            const bool inside = image.has_row(top + row - reach);
            const Window<columns_of_row + 2 * reach> window(a + row * side_pitch + column);
            for_each_strip([&](auto strip) {
                using Own = decltype(strip);
                const int own_row = row - (reach - Own::reach);
                if (own_row < 0 || own_row >= tile + Own::length - 1) return;
                float weights[Own::length], result[columns_of_row];
                load(numbers + Own::row, weights);
                fill(result, inside ? numbers[Own::row + Own::length] : 0.0f);
                convolve(window.at + reach - Own::reach, weights, result);
                float* to = out + (Own::rows_before + own_row) * pitch + column;
#pragma unroll
                for (int c = 0; c < columns_of_row; c += 4) store_quad(to + c, result + c);
            });
        });
    }

    // Columns of all strips, from their rows, and a: the result.
    template <typename Number>
    static __device__ void columns(const float* a, const float* rows, const float* numbers, const Plane<Number>& out,
                                   int top, int left) {
        float bias = 0;
        for_each_strip([&](auto strip) { bias += numbers[strip.column + strip.length]; });
        for_each<items>([&](int i) {
            const int column = i % tile, row = i / tile * rows_of_column;
            if (!out.has_column(left + column) || !out.has_row(top + row)) return;
            float sum[rows_of_column];
#pragma unroll
            for (int r = 0; r < rows_of_column; ++r) sum[r] = bias + a[(row + r + reach) * side_pitch + column + reach];
            for_each_strip([&](auto strip) {
                using Own = decltype(strip);
                float weights[Own::length];
                load(numbers + Own::column, weights);
                for_each_in_column<Own::length, rows_of_column>(
                    rows + (Own::rows_before + row) * pitch + column, pitch,
                    [&](float number, int t, int r) { sum[r] += weights[t] * number; });
            });
            Number* to = out.at(top + row, left + column);
#pragma unroll
            for (int r = 0; r < rows_of_column; ++r, to += out.row_stride) {
                Number number;
                assign(number, sum[r]);
                if (out.has_row(top + row + r)) *to = number;
            }
        });
    }

    // What the weights and biases of columns get: tap by tap, in the order of the strips.
    template <typename Number>
    static __device__ void taps_of_columns(const Plane<Number>& gradient, const float* rows, int top, int left,
                                           const Partials<items>& partials) {
        for_each<items>([&](int i) {
            const int column = i % tile, row = i / tile * rows_of_column;
            if (!gradient.has_column(left + column) || !gradient.has_row(top + row)) {
                return clear<parameters_of_columns>(&partials.at(0, i), partials.pitch);
            }
            float values[rows_of_column], total = 0;
            const Number* from = gradient.at(top + row, left + column);
#pragma unroll
            for (int r = 0; r < rows_of_column; ++r, from += gradient.row_stride) {
                Number number = {};
                if (gradient.has_row(top + row + r)) number = *from;
                values[r] = as_float(number), total += values[r];
            }
            for_each_strip([&](auto strip) {
                using Own = decltype(strip);
                float taps[Own::length];
                fill(taps, 0.0f);
                for_each_in_column<Own::length, rows_of_column>(
                    rows + (Own::rows_before + row) * pitch + column, pitch,
                    [&](float number, int t, int r) { taps[t] += values[r] * number; });
#pragma unroll
                for (int t = 0; t < Own::length; ++t) partials.at(Own::taps_before + t, i) = taps[t];
                partials.at(Own::taps_before + Own::length, i) = total;
            });
        });
    }

    // The gradient goes back through the columns of all strips, for a tile and as far beside it as rows reach. Below the
    // image stands what nobody reads.
    static __device__ void columns_back(const float* gradient, const float* numbers, const Extent& image, int top,
                                        int left, float* out) {
        for_each<side * (tile / rows_of_column)>([&](int i) {
            const int column = i % side, row = i / side * rows_of_column;
            const bool inside = image.has_column(left + column - reach) && image.has_row(top + row);
            for_each_strip([&](auto strip) {
                using Own = decltype(strip);
                const int own_column = column - (reach - Own::reach);
                if (own_column < 0 || own_column >= tile + Own::length - 1) return;
                float* to = out + (Own::index * tile + row) * side_pitch + own_column;
                if (!inside) return clear<rows_of_column>(to, side_pitch);
                float weights[Own::length], result[rows_of_column];
                fill(result, 0.0f);
                load_reversed(numbers + Own::column, weights);
                for_each_in_column<Own::length, rows_of_column>(
                    gradient + (row + reach - Own::reach) * side_pitch + column, side_pitch,
                    [&](float number, int t, int r) { result[r] += weights[t] * number; });
#pragma unroll
                for (int r = 0; r < rows_of_column; ++r) to[r * side_pitch] = result[r];
            });
        });
    }

    // And from there through the rows; together with what comes straight, all that reaches a.
    static __device__ void rows_back(const float* gradient, const float* between, const float* numbers,
                                     const Plane<float>& of_a, int top, int left) {
        for_each<tile * (tile / columns_of_row)>([&](int i) {
            const int row = i % tile, column = i / tile * columns_of_row;
            if (!of_a.has_row(top + row) || !of_a.has_column(left + column)) return;
            float sum[columns_of_row];
            load(gradient + (row + reach) * side_pitch + column + reach, sum);
            for_each_strip([&](auto strip) {
                using Own = decltype(strip);
                float weights[Own::length];
                load_reversed(numbers + Own::row, weights);
                const Window<columns_of_row + Own::length - 1> window(between +
                                                                      (Own::index * tile + row) * side_pitch + column);
                convolve(window.at, weights, sum);
            });
            float* to = of_a.at(top + row, left + column);
#pragma unroll
            for (int c = 0; c < columns_of_row; c += 4) store_quad(to + c, sum + c);
        });
    }

    // What the weights and the bias of a row get.
    template <typename Own>
    static __device__ void taps_of_row(const float* a, const float* between, const Extent& image, int top,
                                       const Partials<items>& partials) {
        for_each<items>([&](int i) {
            const int row = i % tile, column = i / tile * columns_of_taps;
            const Window<columns_of_taps> values(a + row * pitch + column);
            const Window<columns_of_taps + Own::length - 1> window(between + (Own::index * tile + row) * side_pitch +
                                                                   column);
            float taps[Own::length], total = 0;
            fill(taps, 0.0f);
            correlate<Own::length>(window.at, values.at, taps);
#pragma unroll
            for (int c = 0; c < columns_of_taps; ++c) total += window.at[c + Own::reach];
            if (!image.has_row(top + row)) total = 0;
#pragma unroll
            for (int t = 0; t < Own::length; ++t) partials.at(t, i) = taps[Own::length - 1 - t];
            partials.at(Own::length, i) = total;
        });
    }

    // The gradient of a goes back through the square: x gives way to its gradient, and the parameters get theirs.
    static __device__ void square_back(const float* of_a, const float* numbers, float* x,
                                       const Partials<items>& partials) {
        constexpr int quads = tile / 4, rows = 4, of_a_pitch = pitch_of_tile(tile + 2 * margin);
        static_assert(quads * (tile / rows) == items, "one block of outputs an item");
        float weights[size * size];
        load_reversed(numbers, weights);
        for_each<items>([&](int i) {
            const int row = i / quads * rows, column = i % quads * 4;
            float out[rows][4], values[rows][4], taps[size * size], total = 0;
            fill(taps, 0.0f);
#pragma unroll
            for (int r = 0; r < rows; ++r) {
                fill(out[r], 0.0f);
                load(Window<4>(x + (row + r) * pitch + column).at, values[r]);
            }
            for_each_in_square<size, rows>(
                of_a + row * of_a_pitch + column, of_a_pitch, [&](auto& window, int j, int r) {
                    convolve_square_row<size>(window, weights + j * size, out[r]);
                    correlate<size>(window, values[r], taps + j * size);
                    if (j == margin)
                        for (int c = 0; c < 4; ++c) total += window[c + margin];
                });
#pragma unroll
            for (int r = 0; r < rows; ++r) store_quad(x + (row + r) * pitch + column, out[r]);
#pragma unroll
            for (int t = 0; t < size * size; ++t) partials.at(t, i) = taps[size * size - 1 - t];
            partials.at(size * size, i) = total;
        });
    }
};

}  // namespace
}  // namespace dislayers
