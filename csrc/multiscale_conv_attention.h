// The depthwise part of multi-scale convolutional attention: s = a + sum_i column_i(row_i(a)) with a = conv(x).
#pragma once

#include "feature_map.h"

namespace dislayers {

// Parameters of a channel: size x size numbers of the square and its bias; then for each strip its row, the bias of
// that, its column, and the bias of that.
struct MultiscaleDepthwise {
    FeatureMap x, gradient, out;  // out is s, or the gradient of x; only that needs a gradient of s
    const float* parameters;      // (channels, parameters of a channel), dense
    float* parameter_gradients;   // likewise; null forward
    int64_t size;                 // of the square, odd
    const int64_t* strips;        // their lengths, odd
    int64_t strip_count;
    int64_t batch, channels, height, width;
};

// (batch, channels, height, width) on a GPU; its columns lie side by side.
struct GpuMap {
    void* data;
    int64_t batch_stride, channel_stride, row_stride;
};

// The sizes of the kernels that GPUs compute: the square's, then the strips'. A block computes a tile of so many rows
// and columns; rows of `of_a` are a multiple of so many numbers.
constexpr int64_t gpu_kernel_sizes[] = {5, 7, 11, 21}, gpu_tile = 64, gpu_quantum = 8;

// Samples, and channels, of a launch.
constexpr int64_t gpu_most = 65535;

struct GpuDepthwise {
    Precision precision;          // of the maps
    GpuMap x, gradient, out;      // as above
    const float* parameters;      // as above
    float* parameter_gradients;   // likewise; null forward
    float* of_a;                  // room: (batch, channels, height, width rounded up to gpu_quantum); null forward
    float* partials;              // room: (batch, tiles of a map, channels, parameters of a channel); null forward
    int64_t batch, channels, height, width;
};

// What a task computes: columns first to last - 1 of as many channels as a vector has lanes.
struct FeatureTile {
    int64_t sample, channel, first, last;
    float* parameter_gradients;  // (parameters of a channel, lanes): what these columns give
};

// What the windows of a tile have room for.
constexpr int64_t most_strips = 16, longest_kernel = 127;

// Rows that a step computes, and outputs that are computed at once, in registers.
constexpr int64_t rows_of_a_step = 8, block_of_outputs = 8;

namespace {

constexpr int64_t parameters_of_a_channel(const MultiscaleDepthwise& task) {
    int64_t count = task.size * task.size + 1;
    for (int64_t i = 0; i < task.strip_count; ++i) count += 2 * (task.strips[i] + 1);
    return count;
}

// How far the longest strip reaches.
constexpr int64_t reach_of_strips(const MultiscaleDepthwise& task) {
    int64_t longest = 1;
    for (int64_t i = 0; i < task.strip_count; ++i)
        if (task.strips[i] > longest) longest = task.strips[i];
    return longest / 2;
}

// An odd number of vectors from row to row, so that rows do not share the places of a cache; outputs are computed in
// whole blocks, which may go beyond the last column.
constexpr int64_t pitch_of(int64_t columns) { return (columns + block_of_outputs) | 1; }

// Vectors that suffice for all windows of a tile.
constexpr int64_t room_of_tile(const MultiscaleDepthwise& task, int64_t columns) {
    const int64_t border = 2 * (reach_of_strips(task) + task.size);
    const int64_t window = (rows_of_a_step + border) * pitch_of(columns + border);
    return (7 + task.strip_count) * window + 2 * parameters_of_a_channel(task);
}

}  // namespace

}  // namespace dislayers
