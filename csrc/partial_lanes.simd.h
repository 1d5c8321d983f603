// Vectors of which only the first numbers are there, choices between vectors, and pairs of columns as vectors; for
// `<op>.simd.cpp` only.
#pragma once

#include <math.h>

#include "lanes.simd.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// The first `count` <= lanes numbers; 0 for the others.
inline Lanes load_first(const float* from, int64_t count) {
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
#elif defined(__AVX2__)
    const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), places));
#else
    Lanes loaded = {};
    for (int64_t i = 0; i < count; ++i) loaded[i] = from[i];
    return loaded;
#endif
}

inline void store_first(float* to, Lanes stored, int64_t count) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), stored);
#elif defined(__AVX2__)
    const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), places), stored);
#else
    for (int64_t i = 0; i < count; ++i) to[i] = stored[i];
#endif
}

inline float total(Lanes numbers) {
    float halves[lanes];
    store_lanes(halves, numbers);
    for (int64_t count = lanes / 2; count > 0; count /= 2)
        for (int64_t i = 0; i < count; ++i) halves[i] += halves[i + count];
    return halves[0];
}

// a b + c, rounded once where the processor can: said outright, so that forward and backward round alike.
inline Lanes multiply_add(Lanes a, Lanes b, Lanes c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__FP_FAST_FMAF)
    for (int64_t i = 0; i < lanes; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}

#if defined(__GNUC__)
using Choice = decltype(Lanes{} < Lanes{});
inline Lanes minus(Lanes a, Lanes b) { return a - b; }
inline Lanes choose(Choice choice, Lanes yes, Lanes no) { return choice ? yes : no; }
inline Choice at_most(Lanes a, Lanes b) { return a <= b; }
// As PyTorch has it, a NaN is above all that came before.
inline Choice is_above(Lanes a, Lanes b) { return (a > b) | (a != a); }
#else
struct Choice {
    bool values[lanes];
};
inline Lanes minus(Lanes a, const Lanes& b) {
    for (int64_t i = 0; i < lanes; ++i) a[i] -= b[i];
    return a;
}
inline Lanes choose(const Choice& choice, const Lanes& yes, Lanes no) {
    for (int64_t i = 0; i < lanes; ++i) no[i] = choice.values[i] ? yes[i] : no[i];
    return no;
}
inline Choice at_most(const Lanes& a, const Lanes& b) {
    Choice choice;
    for (int64_t i = 0; i < lanes; ++i) choice.values[i] = a[i] <= b[i];
    return choice;
}
inline Choice is_above(const Lanes& a, const Lanes& b) {
    Choice choice;
    for (int64_t i = 0; i < lanes; ++i) choice.values[i] = a[i] > b[i] || a[i] != a[i];
    return choice;
}
#endif

// The first `count` numbers; `other` for the rest.
inline Lanes keep_first(Lanes kept, int64_t count, float other) {
#if defined(__AVX512F__)
    return _mm512_mask_blend_ps(static_cast<__mmask16>((1u << count) - 1), _mm512_set1_ps(other), kept);
#else
    for (int64_t i = count; i < lanes; ++i) kept[i] = other;
    return kept;
#endif
}

// Two vectors of columns as one of even and one of odd columns.
inline void part(Lanes& a, Lanes& b) {
#if defined(__AVX512F__)
    const Lanes even = DISLAYERS_SHUFFLED(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    b = DISLAYERS_SHUFFLED(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX2__)
    const Lanes even = DISLAYERS_SHUFFLED(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
    b = DISLAYERS_SHUFFLED(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#elif defined(__GNUC__)
    const Lanes even = DISLAYERS_SHUFFLED(a, b, 0, 2, 4, 6);
    b = DISLAYERS_SHUFFLED(a, b, 1, 3, 5, 7);
#else
    const Lanes even = {a[0], a[2], b[0], b[2]};
    b = {a[1], a[3], b[1], b[3]};
#endif
    a = even;
}

// The reverse of part.
inline void join(Lanes& even, Lanes& odd) {
    const Lanes first = first_in_turn(even, odd);
    odd = last_in_turn(even, odd);
    even = first;
}

// Rounded to nearest, ties to even, with so many bits less; float16 has numbers below 2^-14 and none from 65520 on.
inline Lanes rounded(Lanes exact, int dropped) {
    if (dropped == 0) return exact;
    float values[lanes];
    store_lanes(values, exact);
    const uint32_t half = (1u << (dropped - 1)) - 1, kept = ~((1u << dropped) - 1);
    for (int64_t i = 0; i < lanes; ++i) {
        const float value = values[i];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = (bits + half + (bits >> dropped & 1)) & kept;
        float result;
        memcpy(&result, &bits, sizeof bits);
        const bool narrow = dropped == 13, tiny = value < 0x1p-14f && value > -0x1p-14f;
        if (narrow && tiny) result = (value + 0.75f) - 0.75f;
        if (narrow && value >= 65520.0f) result = INFINITY;
        if (narrow && value <= -65520.0f) result = -INFINITY;
        values[i] = result;
    }
    return load_lanes(values);
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
