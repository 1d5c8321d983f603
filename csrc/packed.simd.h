// Rows of pixels packed 64 to a word, and vectors of such words; for `<op>.simd.cpp` only.
#pragma once

#include <cstring>

#include "packed.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// As many words as one register holds, and the same moved by one word: b after a.
#if defined(__AVX512F__)
using Vector = uint64_t __attribute__((vector_size(64)));
inline Vector word_before(Vector a, Vector b) {
    return (Vector)_mm512_maskz_alignr_epi64(0xff, (__m512i)b, (__m512i)a, 7);
}
inline Vector word_after(Vector a, Vector b) {
    return (Vector)_mm512_maskz_alignr_epi64(0xff, (__m512i)b, (__m512i)a, 1);
}
[[maybe_unused]] bool any(Vector a) { return _mm512_test_epi64_mask((__m512i)a, (__m512i)a) != 0; }
#elif defined(__AVX2__)
using Vector = uint64_t __attribute__((vector_size(32)));
__m256i middle(Vector a, Vector b) { return _mm256_permute2x128_si256((__m256i)a, (__m256i)b, 0x21); }
inline Vector word_before(Vector a, Vector b) { return (Vector)_mm256_alignr_epi8((__m256i)b, middle(a, b), 8); }
inline Vector word_after(Vector a, Vector b) { return (Vector)_mm256_alignr_epi8(middle(a, b), (__m256i)a, 8); }
[[maybe_unused]] bool any(Vector a) { return !_mm256_testz_si256((__m256i)a, (__m256i)a); }
#else
using Vector = uint64_t;
inline Vector word_before(Vector a, Vector) { return a; }
inline Vector word_after(Vector, Vector b) { return b; }
[[maybe_unused]] bool any(Vector a) { return a != 0; }
#endif
constexpr int64_t vector_words = sizeof(Vector) / sizeof(uint64_t);

inline Vector load(const uint64_t* words) { return *reinterpret_cast<const Vector*>(words); }

uint64_t pack(const uint8_t* pixels) {
#if defined(__AVX512BW__)
    const __m512i bytes = _mm512_loadu_si512(pixels);
    return _mm512_test_epi8_mask(bytes, bytes);
#elif defined(__AVX2__)
    const auto zeros = [&](int half) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels) + half);
        return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())));
    };
    return ~(zeros(0) | static_cast<uint64_t>(zeros(1)) << 32);
#else
    uint64_t word = 0;
    for (int i = 0; i < 16; ++i) {
        uint32_t bytes;
        std::memcpy(&bytes, pixels + 4 * i, 4);
        word |= static_cast<uint64_t>(gather(bytes)) << (4 * i);
    }
    return word;
#endif
}

void unpack(uint64_t word, uint8_t* pixels) {
#if defined(__AVX512BW__)
    _mm512_storeu_si512(pixels, _mm512_maskz_set1_epi8(word, 1));
#elif defined(__AVX2__)
    const __m256i byte_of_pixel = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of_pixel = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    for (int half = 0; half < 2; ++half) {
        const __m256i bits = _mm256_set1_epi32(static_cast<int>(word >> (32 * half)));
        const __m256i one_bit = _mm256_and_si256(_mm256_shuffle_epi8(bits, byte_of_pixel), bit_of_pixel);
        const __m256i pixel = _mm256_min_epu8(one_bit, _mm256_set1_epi8(1));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(pixels) + half, pixel);
    }
#else
    for (int i = 0; i < 16; ++i) {
        const uint32_t bytes = spread(static_cast<uint32_t>(word >> (4 * i)));
        std::memcpy(pixels + 4 * i, &bytes, 4);
    }
#endif
}

// Fewer than 64 pixels, through a copy: reading or writing beyond a row could leave the tensor.
uint64_t pack_rest(const uint8_t* pixels, int64_t count) {
    alignas(64) uint8_t copy[64] = {};
    std::memcpy(copy, pixels, static_cast<size_t>(count));
    return pack(copy);
}

void unpack_rest(uint64_t word, uint8_t* pixels, int64_t count) {
    alignas(64) uint8_t copy[64];
    unpack(word, copy);
    std::memcpy(pixels, copy, static_cast<size_t>(count));
}

void fill(uint64_t* words, int64_t count, uint64_t value) {
    for (int64_t i = 0; i < count; ++i) words[i] = value;
}

inline void pack_row(const uint8_t* pixels, int64_t width, uint64_t flip, uint64_t* words, int64_t stride) {
    const int64_t whole = width / 64, rest = width % 64;
    for (int64_t i = 0; i < whole; ++i) words[i] = pack(pixels + 64 * i) ^ flip;
    fill(words + whole, stride - whole, 0);
    if (rest) words[whole] = (pack_rest(pixels + 64 * whole, rest) ^ flip) & low_bits<uint64_t>(rest);
}

inline void unpack_row(const uint64_t* words, int64_t width, uint64_t flip, uint8_t* pixels) {
    const int64_t whole = width / 64, rest = width % 64;
    for (int64_t i = 0; i < whole; ++i) unpack(words[i] ^ flip, pixels + 64 * i);
    if (rest) unpack_rest(words[whole] ^ flip, pixels + 64 * whole, rest);
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
