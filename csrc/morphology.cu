// Dilation on a GPU: a block packs a tile and its halo into shared memory, 32 pixels a word, runs all iterations there
// and unpacks the tile. Threads walk the tile in strides of blockDim, so any block size gives the same result.
#include <cuda_runtime.h>

#include "api.h"

namespace dislayers {
namespace {

constexpr int tile_rows = 64;
constexpr int tile_words = 8;
constexpr int threads = 256;
// One word on either side holds the halo of every iteration (what spills in from the row before takes one more to get
// through it); a row of zeros lies above and below.
constexpr int stride = tile_words + 2;
constexpr int most_rows = tile_rows + 2 * static_cast<int>(dilate_cuda_iterations) + 2;
static_assert(dilate_cuda_iterations <= 32, "the halo is one word wide");

__device__ bool on_16_bytes(const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; }

__device__ uint32_t pack(const uint8_t* pixels, int64_t count) {
    if (count < 32 || !on_16_bytes(pixels)) return pack_pixels<uint32_t>(pixels, static_cast<int>(count));
    uint32_t word = 0;
    for (int half = 0; half < 2; ++half) {
        const uint4 bytes = reinterpret_cast<const uint4*>(pixels)[half];
        word |= (gather(bytes.x) | gather(bytes.y) << 4 | gather(bytes.z) << 8 | gather(bytes.w) << 12) << (16 * half);
    }
    return word;
}

__device__ void unpack(uint32_t word, uint8_t* pixels, int64_t count) {
    if (count < 32 || !on_16_bytes(pixels)) return unpack_pixels(word, pixels, static_cast<int>(count));
    for (int half = 0; half < 2; ++half) {
        const uint32_t bits = word >> (16 * half);
        reinterpret_cast<uint4*>(pixels)[half] =
            make_uint4(spread(bits), spread(bits >> 4), spread(bits >> 8), spread(bits >> 12));
    }
}

__device__ int64_t at_most_word(int64_t pixels) { return pixels < 32 ? pixels : 32; }

template <bool square>
__device__ uint32_t dilated_at(const uint32_t* now) {
    const auto column = [&](int i) { return now[i] | now[i - stride] | now[i + stride]; };
    const auto moving = [&](int i) { return square ? column(i) : now[i]; };
    return dilated(column(0), moving(0), moving(-1), moving(1), 1, 32);
}

template <bool square>
__global__ void __launch_bounds__(threads) dilate_kernel(Dilation task) {
    // A spare word at either end, for the sides of a square's first and last word.
    __shared__ uint32_t buffers[2][most_rows * stride + 2];
    __shared__ uint32_t within[most_rows * stride];

    const int iterations = static_cast<int>(task.iterations);
    const int rows = tile_rows + 2 * iterations + 2;
    const int64_t image = blockIdx.z;
    // Where the first row and word of the buffers lie in the image.
    const int64_t top = static_cast<int64_t>(blockIdx.y) * tile_rows - iterations - 1;
    const int64_t left = (static_cast<int64_t>(blockIdx.x) * tile_words - 1) * 32;
    const uint32_t flip = task.flip ? ~0u : 0u;

    for (int i = threadIdx.x; i < rows * stride; i += blockDim.x) {
        const int row_in_tile = i / stride, word_in_tile = i % stride;
        const int64_t row = top + row_in_tile, column = left + 32 * word_in_tile;
        const bool spare = row_in_tile == 0 || row_in_tile == rows - 1;
        const int64_t count = at_most_word(task.width - column);
        uint32_t word = 0, allowed = 0;
        if (!spare && row >= 0 && row < task.height && column >= 0 && count > 0) {
            const uint8_t* pixels = row_of(task.mask, image, row) + column;
            allowed = low_bits<uint32_t>(count);
            word = (pack(pixels, count) ^ flip) & allowed;
            if (task.within.pixels) allowed = pack(row_of(task.within, image, row) + column, count);
        }
        buffers[0][i + 1] = word;
        buffers[1][i + 1] = 0;
        within[i] = allowed;
    }
    for (int end = threadIdx.x; end < 4; end += blockDim.x) buffers[end / 2][end % 2 ? rows * stride + 1 : 0] = 0;
    __syncthreads();

    for (int step = 0; step < iterations; ++step) {
        const uint32_t* now = buffers[step % 2] + 1;
        uint32_t* next = buffers[(step + 1) % 2] + 1;
        for (int i = threadIdx.x + stride; i < (rows - 1) * stride; i += blockDim.x)
            next[i] = within[i] & dilated_at<square>(now + i);
        __syncthreads();
    }

    const uint32_t* done = buffers[iterations % 2] + 1;
    for (int i = threadIdx.x; i < tile_rows * tile_words; i += blockDim.x) {
        const int row_in_tile = i / tile_words, word_in_tile = i % tile_words;
        const int64_t row = top + 1 + iterations + row_in_tile, column = left + 32 * (word_in_tile + 1);
        const int64_t count = at_most_word(task.width - column);
        if (row >= task.height || count <= 0) continue;
        const uint32_t word = done[(row_in_tile + iterations + 1) * stride + word_in_tile + 1];
        unpack(word ^ flip, task.out + (image * task.height + row) * task.width + column, count);
    }
}

}  // namespace

const char* dilate_cuda(const Dilation& task, void* stream) {
    constexpr int64_t most_images = 65535;
    const auto kernel = task.square ? dilate_kernel<true> : dilate_kernel<false>;
    for (int64_t first = 0; first < task.batch; first += most_images) {
        Dilation part = task;
        part.batch = task.batch - first < most_images ? task.batch - first : most_images;
        part.mask.pixels = row_of(task.mask, first, 0);
        if (task.within.pixels) part.within.pixels = row_of(task.within, first, 0);
        part.out += first * task.height * task.width;

        cudaLaunchConfig_t config = {};
        config.gridDim = dim3(static_cast<unsigned>((task.width + 32 * tile_words - 1) / (32 * tile_words)),
                              static_cast<unsigned>((task.height + tile_rows - 1) / tile_rows),
                              static_cast<unsigned>(part.batch));
        config.blockDim = dim3(threads);
        config.stream = static_cast<cudaStream_t>(stream);
        if (const cudaError_t error = cudaLaunchKernelEx(&config, kernel, part))
            return cudaGetErrorString(error);
    }
    return nullptr;
}

}  // namespace dislayers
