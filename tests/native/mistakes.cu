// mistakes NAME: reverses 64 bytes on the emulated GPU with the mistake of that name, or with "none". Each must be
// found by what test_native.py expects to find it.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

#include "guarded.h"

namespace {

constexpr int count = 64;

struct Mistake {
    bool race, divergence, outside_shared, outside_global;
};

__global__ void __launch_bounds__(count) reverse(uint8_t* bytes, Mistake mistake) {
    __shared__ uint8_t shared[count];
    for (int i = threadIdx.x; i < count; i += blockDim.x) shared[i] = bytes[i];
    uint8_t* end = shared + count;
    if (mistake.outside_shared && threadIdx.x == 0) *end = 1;
    if (mistake.divergence && threadIdx.x == 0) __syncthreads();
    if (!mistake.race) __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x) bytes[i] = shared[count - 1 - i];
    if (mistake.outside_global && threadIdx.x == 0) bytes[count] = 1;
}

}  // namespace

int main(int words, char** word) {
    if (words != 2) return 2;
    const auto is = [&](const char* name) { return std::strcmp(word[1], name) == 0; };
    const Mistake mistake = {is("race"), is("divergence"), is("outside shared"), is("outside global")};

    Guarded bytes(count, Guard::after);
    for (int i = 0; i < count; ++i) bytes.data()[i] = static_cast<uint8_t>(i);
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(count);
    if (const cudaError_t error = cudaLaunchKernelEx(&config, reverse, bytes.data(), mistake)) return error;
    for (int i = 0; i < count; ++i)
        if (bytes.data()[i] != count - 1 - i) return std::printf("byte %d is %d\n", i, bytes.data()[i]), 1;
    return 0;
}
