// HOST_DEVICE functions are compiled for the CPU and for the GPU alike.
#pragma once

#if defined(__CUDACC__)
#define HOST_DEVICE __host__ __device__ __forceinline__
#else
#define HOST_DEVICE inline
#endif
