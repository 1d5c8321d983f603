// Stands in for CUDA's header of this name when a plain C++ compiler builds a .cu file, so that its kernels run under
// sanitizers on a machine without a GPU. It has what csrc's kernels use; what is missing fails to compile.
//
// One block runs at a time, its threads are real threads. A missing __syncthreads is a data race that ThreadSanitizer
// sees; an access outside shared memory is one outside a static array that AddressSanitizer sees. Shared memory starts
// with what the block before left there. A block gets at most `emulation::threads_per_block` threads: kernels walk
// their tile in strides of blockDim and give the same result for any.
#pragma once

#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)
#define __syncthreads() emulation::meet(__LINE__)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// Aligned as on the device: UndefinedBehaviorSanitizer sees an access that a GPU would refuse.
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

struct alignas(16) float4 {
    float x, y, z, w;
};

inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorInvalidConfiguration = 9 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
using cudaStream_t = struct CUstream_st*;

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
};

inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "invalid argument";
}

namespace emulation {

inline unsigned threads_per_block = 16;

class Barrier {
  public:
    explicit Barrier(unsigned threads) : threads(threads) {}

    // All threads must come from the same place: CUDA leaves anything else undefined.
    void wait(int place) {
        std::unique_lock<std::mutex> lock(mutex);
        if (arrived == 0) common_place = place;
        if (place != common_place) {
            std::fprintf(stderr, "threads of a block meet at lines %d and %d (0: the end)\n", common_place, place);
            std::abort();
        }
        if (++arrived == threads) {
            arrived = 0;
            ++round;
            all_arrived.notify_all();
            return;
        }
        const uint64_t own_round = round;
        all_arrived.wait(lock, [&] { return round != own_round; });
    }

  private:
    const unsigned threads;
    unsigned arrived = 0;
    uint64_t round = 0;
    int common_place = 0;
    std::mutex mutex;
    std::condition_variable all_arrived;
};

inline thread_local Barrier* barrier = nullptr;

inline void meet(int place) { barrier->wait(place); }

inline thread_local float4* dynamic_shared_memory = nullptr;
inline size_t dynamic_shared_bytes = 48 << 10;  // what a kernel may ask for


inline bool launches(const dim3& grid, const dim3& block) {
    return grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535 &&
           block.x >= 1 && block.x <= 1024 && block.y == 1 && block.z == 1;
}

}  // namespace emulation

// What `extern __shared__` would be, an array on the heap here.
inline float* dynamic_shared() { return &emulation::dynamic_shared_memory->x; }

// Of all kernels, not of one. No GPU gives more than 227 KB.
template <typename Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, cudaFuncAttribute, int bytes) {
    if (bytes > (227 << 10)) return cudaErrorInvalidValue;
    emulation::dynamic_shared_bytes = static_cast<size_t>(bytes);
    return cudaSuccess;
}

// Returns when the kernel has run: every stream is the calling thread.
template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    const dim3 grid = config->gridDim;
    if (!emulation::launches(grid, config->blockDim)) return cudaErrorInvalidConfiguration;
    if (config->dynamicSmemBytes > emulation::dynamic_shared_bytes) return cudaErrorInvalidValue;
    // NaN shows what a kernel reads before it wrote.
    std::vector<float4> shared(config->dynamicSmemBytes / sizeof(float4), {NAN, NAN, NAN, NAN});
    const unsigned wanted = config->blockDim.x;
    const unsigned threads = wanted < emulation::threads_per_block ? wanted : emulation::threads_per_block;
    emulation::Barrier barrier(threads);

    const auto run = [&](unsigned thread) {
        emulation::barrier = &barrier;
        emulation::dynamic_shared_memory = shared.data();
        gridDim = grid;
        blockDim = dim3(threads);
        threadIdx = dim3(thread, 0, 0);
        for (unsigned z = 0; z < grid.z; ++z)
            for (unsigned y = 0; y < grid.y; ++y)
                for (unsigned x = 0; x < grid.x; ++x) {
                    blockIdx = dim3(x, y, z);
                    kernel(arguments...);
                    barrier.wait(0);
                }
    };
    std::vector<std::thread> others;
    for (unsigned thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
    run(0);
    for (std::thread& other : others) other.join();
    return cudaSuccess;
}
