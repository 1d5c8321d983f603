// Depthwise convolutions of a tile in shared memory, for `.cu` only: a thread computes a block of outputs in registers
// from windows that it reads once, so that a number from shared memory feeds many multiply-adds.
#pragma once

#include <cuda_runtime.h>

#include "half.h"

namespace dislayers {
namespace {

#if defined(__CUDACC__)
// The shared memory for which the launch asked.
__device__ float* dynamic_shared() {
    extern __shared__ float4 memory[];
    return reinterpret_cast<float*>(memory);
}
#endif

// Floats from row to row of a tile: whole quads, and an odd number of them, so that eight rows share no bank.
HOST_DEVICE constexpr int pitch_of_tile(int columns) { return (columns + 3) / 8 * 8 + 4; }

// How far an image goes.
struct Extent {
    int height, width;

    // Below 0 is far beyond the end.
    __device__ bool has_row(int y) const { return static_cast<unsigned>(y) < static_cast<unsigned>(height); }
    __device__ bool has_column(int x) const { return static_cast<unsigned>(x) < static_cast<unsigned>(width); }
};

// Rows of numbers in global memory.
template <typename Number>
struct Plane : Extent {
    Number* data;
    int64_t row_stride;

    __device__ Plane(Extent extent, Number* data, int64_t row_stride)
        : Extent(extent), data(data), row_stride(row_stride) {}
    __device__ Number* at(int y, int x) const { return data + y * row_stride + x; }
};

// Threads of a block. On a GPU it has all of them; where one is emulated, fewer do the work of all of them in turn.
constexpr int threads = 256;
#if defined(__CUDACC__)
constexpr bool whole_blocks = true;
#else
constexpr bool whole_blocks = false;
#endif

// visit(i) for every i below count, a thread after the other. What whole blocks do in one go is no loop.
template <int count, typename Visit>
__device__ void for_each(const Visit& visit) {
    const int first = static_cast<int>(threadIdx.x);
#if defined(__CUDACC__)
    __builtin_assume(first >= 0 && first < threads);  // without a sign, parts of an index are cheap
#endif
    if constexpr (whole_blocks && count <= threads) {
        if (count == threads || first < count) visit(first);
    } else {
        const int present = whole_blocks ? threads : static_cast<int>(blockDim.x);
#pragma unroll 1
        for (int i = first; i < count; i += present) visit(i);
    }
}

// Brings rows x columns of a plane from (top, left) on, zeros outside. 32 threads share a row; a thread has the loads of
// three or four rows under way, three where none of them is left over.
template <int rows, int columns, typename Number>
__device__ void load_tile(const Plane<Number>& plane, int top, int left, float* tile) {
    constexpr int lanes = 32, pitch = pitch_of_tile(columns), parts = (columns + lanes - 1) / lanes;
    constexpr int step = threads / lanes, turns = (rows + step - 1) / step, batch = turns % 3 == 0 ? 3 : 4;
    for_each<threads>([&](int thread) {
        const int lane = thread % lanes;
        const Number* from = plane.at(top + thread / lanes, left + lane);
        const int64_t stride = step * plane.row_stride;
#pragma unroll 1
        for (int row = thread / lanes; row < rows; row += batch * step) {
            Number found[batch][parts] = {};
#pragma unroll
            for (int i = 0; i < batch; ++i, from += stride)
#pragma unroll
                for (int k = 0; k < parts; ++k)
                    if (plane.has_row(top + row + i * step) && plane.has_column(left + lane + k * lanes))
                        found[i][k] = from[k * lanes];
#pragma unroll
            for (int i = 0; i < batch; ++i)
#pragma unroll
                for (int k = 0; k < parts; ++k)
                    if ((rows % (batch * step) == 0 || row + i * step < rows) && lane + k * lanes < columns)
                        tile[(row + i * step) * pitch + lane + k * lanes] = as_float(found[i][k]);
        }
    });
}

// Writes a tile of side x side, as far as the plane goes.
template <int side, typename Number>
__device__ void store_tile(const float* tile, const Plane<Number>& plane, int top, int left) {
    for_each<threads>([&](int thread) {
        const int row = thread / side, column = thread % side;
        Number* to = plane.at(top + row, left + column);
        const int64_t stride = threads / side * plane.row_stride;
        if (!plane.has_column(left + column)) return;
#pragma unroll 4
        for (int r = 0; r < side; r += threads / side, to += stride) {
            Number number;
            assign(number, tile[(row + r) * pitch_of_tile(side) + column]);
            if (plane.has_row(top + row + r)) *to = number;
        }
    });
}

template <int count>
__device__ void load(const float* from, float (&to)[count]) {
#pragma unroll
    for (int i = 0; i < count; ++i) to[i] = from[i];
}

template <int count>
__device__ void load_reversed(const float* from, float (&to)[count]) {
#pragma unroll
    for (int i = 0; i < count; ++i) to[i] = from[count - 1 - i];
}

template <int count>
__device__ void fill(float (&numbers)[count], float value) {
#pragma unroll
    for (int i = 0; i < count; ++i) numbers[i] = value;
}

// Zeros, one every pitch.
template <int count>
__device__ void clear(float* to, int pitch) {
#pragma unroll 1
    for (int i = 0; i < count; ++i) to[i * pitch] = 0;
}

// A window of at least `count` numbers in whole quads.
template <int count>
struct Window {
    static constexpr int quads = (count + 3) / 4;
    float at[4 * quads];

    __device__ explicit Window(const float* from) {
#pragma unroll
        for (int i = 0; i < quads; ++i) {
            const float4 quad = reinterpret_cast<const float4*>(from)[i];
            at[4 * i] = quad.x, at[4 * i + 1] = quad.y, at[4 * i + 2] = quad.z, at[4 * i + 3] = quad.w;
        }
    }

    __device__ float sum() const {
        float sum = at[0];
#pragma unroll
        for (int i = 1; i < count; ++i) sum += at[i];
        return sum;
    }
};

__device__ void store_quad(float* to, const float* from) {
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
}

// out[i] += sum_t weights[t] window[i + t]
template <int length, int count>
__device__ void convolve(const float* window, const float (&weights)[length], float (&out)[count]) {
#pragma unroll
    for (int t = 0; t < length; ++t)
#pragma unroll
        for (int i = 0; i < count; ++i) out[i] += weights[t] * window[i + t];
}

// taps[t] += sum_i values[i] window[i + t]
template <int length, int count>
__device__ void correlate(const float* window, const float (&values)[count], float* taps) {
#pragma unroll
    for (int i = 0; i < count; ++i)
#pragma unroll
        for (int t = 0; t < length; ++t) taps[t] += values[i] * window[i + t];
}

// The same along a column, whose numbers come one by one: visit(number, t, i) for every product.
template <int length, int count, typename Visit>
__device__ void for_each_in_column(const float* column, int pitch, const Visit& visit) {
#pragma unroll
    for (int j = 0; j < count + length - 1; ++j) {
        const float number = column[j * pitch];
#pragma unroll
        for (int i = 0; i < count; ++i)
            if (j - i >= 0 && j - i < length) visit(number, j - i, i);
    }
}

// Rows of four numbers: visit(row of the window, row of the kernel, row of the outputs) for all that meet.
template <int size, int rows, typename Visit>
__device__ void for_each_in_square(const float* from, int pitch, const Visit& visit) {
#pragma unroll
    for (int j = 0; j < rows + size - 1; ++j) {
        const Window<size + 3> window(from + j * pitch);
#pragma unroll
        for (int r = 0; r < rows; ++r)
            if (j - r >= 0 && j - r < size) visit(window.at, j - r, r);
    }
}

// out += the convolution of rows x 4 outputs
template <int size>
__device__ void convolve_square_row(const float* window, const float* weights, float (&out)[4]) {
#pragma unroll
    for (int i = 0; i < size; ++i)
#pragma unroll
        for (int c = 0; c < 4; ++c) out[c] += weights[i] * window[c + i];
}

// What `items` parts of a tile give to each tap, one after the other, and eight sums of them; with the room of the sums
// taps begin in different banks.
template <int items>
struct Partials {
    static constexpr int sums = 8, pitch = items + sums;
    float* room;

    static constexpr int floats(int taps) { return taps * pitch; }
    __device__ float& at(int tap, int item) const { return room[tap * pitch + item]; }

    // give(tap, the sum over all items), always in the same order. Every thread of the block comes here.
    template <int taps, typename Give>
    __device__ void reduce(const Give& give) const {
        __syncthreads();
        for_each<taps * sums>([&](int i) {
            const int tap = i / sums, own = i % sums;
            float sum = 0;
#pragma unroll 2
            for (int item = 4 * own; item < items; item += 4 * sums) sum += Window<4>(&at(tap, item)).sum();
            at(tap, items + own) = sum;
        });
        __syncthreads();
        for_each<taps>([&](int tap) { give(tap, Window<sums>(&at(tap, items)).sum()); });
    }
};

}  // namespace
}  // namespace dislayers
