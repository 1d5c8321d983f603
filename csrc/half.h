// Numbers of 16 bits and float32, for the CPU and the GPU alike; rounded to the nearest, ties to even.
#pragma once

#include <cstdint>
#include <cstring>

#include "host_device.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace dislayers {

struct BFloat16 {
    uint16_t bits;
};

struct Float16 {
    uint16_t bits;
};

namespace {

HOST_DEVICE float from_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

HOST_DEVICE uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

HOST_DEVICE float as_float(float value) { return value; }
HOST_DEVICE float as_float(BFloat16 value) { return from_bits(static_cast<uint32_t>(value.bits) << 16); }

HOST_DEVICE float as_float(Float16 value) {
#if defined(__CUDACC__)
    return __half2float(__ushort_as_half(value.bits));
#else
    const uint32_t sign = (value.bits & 0x8000u) << 16, rest = value.bits & 0x7fffu;
    const float scale = from_bits((254u - 15) << 23);  // 2^112: of the exponents' biases, and right for subnormals too
    const float size = rest >= 0x7c00u ? from_bits(0x7f800000u | rest << 13) : from_bits(rest << 13) * scale;
    return from_bits(sign | bits_of(size));
#endif
}

HOST_DEVICE void assign(float& to, float value) { to = value; }

HOST_DEVICE void assign(BFloat16& to, float value) {
#if defined(__CUDACC__)
    to.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
    const uint32_t bits = bits_of(value);
    to.bits = static_cast<uint16_t>(value != value ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
#endif
}

HOST_DEVICE void assign(Float16& to, float value) {
#if defined(__CUDACC__)
    to.bits = __half_as_ushort(__float2half_rn(value));
#else
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    uint32_t half;
    if (size > 0x7f800000) {
        half = 0x7fff;
    } else if (size >= 0x477ff000) {  // 65520 and more
        half = 0x7c00;
    } else if (size < 0x38800000) {  // below 2^-14: adding 0.5 rounds to multiples of 2^-24
        half = bits_of(from_bits(size) + 0.5f) - bits_of(0.5f);
    } else {
        half = (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
    }
    to.bits = static_cast<uint16_t>(sign | half);
#endif
}

}  // namespace

}  // namespace dislayers
