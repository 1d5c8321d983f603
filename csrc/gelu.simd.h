// GELU(a) = a Phi(a), Phi the normal distribution, and its derivative, as transcendental.simd.h has exp and log: without
// the cancellation of 1 + erf. From a = -10 down both stay at what they are there (-7.6e-23 and -7.6e-22).
#pragma once

#include "transcendental.simd.h"

namespace dislayers {
namespace {

float size_of(float a) { return float_of(bits_of(a) & 0x7fffffff); }

// Its size, at most 10, compared as an integer: NaN counts as 10.
float size_to_10(float a) {
    const int32_t bits = bits_of(a) & 0x7fffffff, limit = 0x41200000;
    return float_of(bits < limit ? bits : limit);
}

// e^(-t^2 / 2) for t from 0 to 10, as a power of 2: the polynomial is within 2e-9 of 2^f for |f| <= 1/2.
float bell(float t) {
    const float square = t * t, log2_of_e_half = 0.72134752f;
    const float shifted = 12582912.0f - square * log2_of_e_half;  // adding 1.5 * 2^23 rounds to an integer
    const float f = (12582912.0f - shifted) - square * log2_of_e_half;
    float p = 1.535336182e-4f;
    p = p * f + 1.339887444e-3f;
    p = p * f + 9.618437358e-3f;
    p = p * f + 5.550332471e-2f;
    p = p * f + 2.402264791e-1f;
    p = p * f + 6.931472029e-1f;
    p = p * f + 1.0f;
    const int32_t exponent = static_cast<int32_t>(static_cast<uint32_t>(bits_of(shifted)) << 23);
    return float_of(bits_of(p) + exponent);
}

// Phi(-t) = e^(-t^2 / 2) R(t) for t from 0 to 10; the quotient of polynomials is within 5.2e-8 / max(e^(-t^2 / 2), 0.1)
// of R.
float normal_tail(float t, float bell_of_t) {
    float above = 1.44154157e-2f;
    above = above * t + 1.083022968e-1f;
    above = above * t + 3.422322264e-1f;
    above = above * t + 4.999999742e-1f;
    float below = 3.614629086e-2f;
    below = below * t + 2.710804246e-1f;
    below = below * t + 8.993802976e-1f;
    below = below * t + 1.482345653f;
    below = below * t + 1.0f;
    return bell_of_t * above / below;
}

// max(a, 0) - |a| Phi(-|a|); NaN where a is NaN or minus infinity.
[[maybe_unused]] float gelu(float a) {
    const float t = size_to_10(a), positive = 0.5f * a + 0.5f * size_of(a);
    return positive - t * normal_tail(t, bell(t));
}

// Phi(a) + a phi(a), by Phi(a) = 1 - Phi(-a); NaN where a is NaN or infinite.
[[maybe_unused]] float gelu_derivative(float a) {
    const float t = size_to_10(a), height = bell(t);
    const float at_minus_t = normal_tail(t, height) - t * 0.398942280f * height;
    return (a < 0.0f ? at_minus_t : 1.0f - at_minus_t) + (a - a);
}

}  // namespace
}  // namespace dislayers
