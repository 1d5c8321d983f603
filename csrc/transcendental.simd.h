// exp and log of float32 within 2 units in the last place, in arithmetic that a compiler turns into vectors: no
// branches, no calls. NaN stays NaN. To be included first, so that a file is compiled as this one asks for.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// Else what a number would be behind each limit is computed for all of them, with constants whose products are denormal:
// up to twice the time.
#pragma GCC optimize("no-thread-jumps")
#endif

#include <stdint.h>
#include <string.h>

// Takes into a function all that it calls: a loop with calls does not become vectors.
#if defined(__GNUC__)
#define FLATTENED __attribute__((flatten))
#else
#define FLATTENED
#endif

namespace dislayers {
namespace {

constexpr float smallest_normal = 1.17549435e-38f;

int32_t bits_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float float_of(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// The larger and the smaller of two; NaN in x stays.
float at_least(float x, float limit) { return x < limit ? limit : x; }
float at_most(float x, float limit) { return x > limit ? limit : x; }

// e^x; from 88.37 on it stays at e^88.37 and below -87.3 at the smallest normal number.
[[maybe_unused]] float exponential(float x) {
    x = at_most(at_least(x, -87.3f), 88.37f);
    const float shifted = x * 1.44269504f + 12582912.0f;  // adding 1.5 * 2^23 rounds to an integer
    const float n = shifted - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * r) * r + r + 1.0f;
    const int32_t exponent = static_cast<int32_t>(static_cast<uint32_t>(bits_of(shifted)) << 23);
    return float_of(bits_of(p) + exponent);
}

// log x of a positive number; what is smaller than the smallest normal number counts as that.
[[maybe_unused]] float logarithm(float x) {
    const float positive = at_least(x, smallest_normal);
    const int32_t exponent = (bits_of(positive) - 0x3f3504f3) >> 23;
    const float f = float_of(bits_of(positive) - exponent * 0x800000) - 1.0f;
    const float n = static_cast<float>(exponent), square = f * f;
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const float small = p * f * square - n * 2.12194440e-4f - 0.5f * square;
    return f + small + n * 0.693359375f + (x - x);
}

}  // namespace
}  // namespace dislayers
