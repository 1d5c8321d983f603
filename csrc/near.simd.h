// Distances up to `farthest` to the nearest pixel that is sought, a row at a time; for `<op>.simd.cpp` only. Bytes hold
// those within columns, 16 bits their squares: both saturate, and with so few bits a vector has many pixels.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr int64_t farthest = 255;
constexpr uint16_t nowhere = 65535;

#if defined(__AVX512BW__)
using Squares = uint16_t __attribute__((vector_size(64)));
Squares sum(Squares a, Squares b) { return (Squares)_mm512_adds_epu16((__m512i)a, (__m512i)b); }
Squares smaller(Squares a, Squares b) { return (Squares)_mm512_min_epu16((__m512i)a, (__m512i)b); }
bool any_above(Squares a, Squares b) { return _mm512_cmpgt_epu16_mask((__m512i)a, (__m512i)b) != 0; }
Squares only(uint64_t bits, Squares a) {
    return (Squares)_mm512_maskz_mov_epi16(static_cast<uint32_t>(bits), (__m512i)a);
}
#else
#if defined(__AVX2__)
using Squares = uint16_t __attribute__((vector_size(32)));
Squares sum(Squares a, Squares b) { return (Squares)_mm256_adds_epu16((__m256i)a, (__m256i)b); }
Squares smaller(Squares a, Squares b) { return (Squares)_mm256_min_epu16((__m256i)a, (__m256i)b); }
bool any_above(Squares a, Squares b) {
    const __m256i above = _mm256_subs_epu16((__m256i)a, (__m256i)b);
    return !_mm256_testz_si256(above, above);
}
#elif defined(__SSE2__)
using Squares = uint16_t __attribute__((vector_size(16)));
Squares sum(Squares a, Squares b) { return (Squares)_mm_adds_epu16((__m128i)a, (__m128i)b); }
Squares smaller(Squares a, Squares b) { return a - (Squares)_mm_subs_epu16((__m128i)a, (__m128i)b); }
bool any_above(Squares a, Squares b) {
    const __m128i above = _mm_subs_epu16((__m128i)a, (__m128i)b);
    return _mm_movemask_epi8(_mm_cmpeq_epi16(above, _mm_setzero_si128())) != 0xffff;
}
#else
using Squares = uint16_t __attribute__((vector_size(16)));
Squares sum(Squares a, Squares b) { return (a + b) | (Squares)(a + b < a); }
Squares smaller(Squares a, Squares b) { return a < b ? a : b; }
bool any_above(Squares a, Squares b) {
    uint64_t above[2];
    const auto lanes = a > b;
    memcpy(above, &lanes, sizeof(above));
    return (above[0] | above[1]) != 0;
}
#endif
// The lanes whose bits are set; zero in the others.
Squares only(uint64_t bits, Squares a) {
    Squares lane;
    for (int i = 0; i < static_cast<int>(sizeof(Squares) / 2); ++i) lane[i] = static_cast<uint16_t>(1 << i);
    return a & (Squares)((lane & static_cast<uint16_t>(bits)) != 0);
}
#endif
constexpr int64_t lanes = sizeof(Squares) / sizeof(uint16_t);

Squares load(const uint16_t* numbers) {
    Squares result;
    memcpy(&result, numbers, sizeof(result));
    return result;
}

// Distances within columns from those of the row before, in the direction of a pass.
void pass(const uint8_t* mask, int64_t width, const uint8_t* __restrict before, uint8_t* __restrict after) {
    for (int64_t x = 0; x < width; ++x) {
        const uint8_t further = static_cast<uint8_t>(before[x] + (before[x] < farthest));
        after[x] = mask[x] ? 0 : further;
    }
}

// The same in place, and the lesser ones of those and of `others`.
void pass_and_join(const uint8_t* mask, int64_t width, uint8_t* __restrict passed, uint8_t* __restrict others) {
    for (int64_t x = 0; x < width; ++x) {
        const uint8_t further = static_cast<uint8_t>(passed[x] + (passed[x] < farthest));
        const uint8_t distance = mask[x] ? 0 : further;
        passed[x] = distance;
        others[x] = distance < others[x] ? distance : others[x];
    }
}

// A row's squared distances within columns, and the least of each `stretch` of them; around both lies nothing.
class Heights {
   public:
    static constexpr int64_t stretch = 16, margin = farthest / stretch * stretch + 4 * stretch;

    static int64_t count(int64_t width) { return (width + stretch - 1) / stretch * stretch + 2 * margin; }
    static int64_t least_count(int64_t width) { return count(width) / stretch; }

    Heights(int64_t width, uint16_t* heights, uint16_t* least)
        : heights_(heights + margin), least_(least) {
        memset(heights, 255, static_cast<size_t>(count(width)) * sizeof(uint16_t));
        memset(least, 255, static_cast<size_t>(least_count(width)) * sizeof(uint16_t));
    }

    // Of a row of distances within columns that are `farthest` behind the row's end too.
    void find(const uint8_t* distances, int64_t width) {
        const int64_t stretches = (width + stretch - 1) / stretch;
        for (int64_t x = 0; x < stretches * stretch; ++x) {
            const uint16_t distance = distances[x], square = static_cast<uint16_t>(distance * distance);
            heights_[x] = distance < farthest ? square : nowhere;
        }
        for (int64_t i = 0; i < stretches; ++i) {
            uint16_t least = nowhere;
            for (int64_t k = 0; k < stretch; ++k) {
                const uint16_t height = heights_[i * stretch + k];
                least = height < least ? height : least;
            }
            least_[i + margin / stretch] = least;
        }
    }

    // Squared distances of as many pixels as there are lanes, of those whose bits are set: columns further and further
    // away are tried, as long as they can be nearer than what was found.
    Squares search(int64_t x, uint64_t bits) const {
        Squares best = only(bits, load(heights_ + x));
        for (int64_t reach = 0; reach < farthest && any_above(best, square(reach + 1)); reach += stretch) {
            const Squares bound = sum(square(reach + 1), Squares{} + least_around(x, reach));
            if (!any_above(best, bound)) continue;
            for (int64_t k = reach + 1; k <= reach + stretch; k += step) {
                for (int64_t j = k; j < k + step; ++j)
                    best = smaller(best, sum(smaller(load(heights_ + x - j), load(heights_ + x + j)), square(j)));
                if (!any_above(best, square(k + step))) return best;
            }
        }
        return best;
    }

   private:
    static constexpr int64_t step = 4;

    static Squares square(int64_t distance) {
        const uint16_t result = distance > farthest ? nowhere : static_cast<uint16_t>(distance * distance);
        return Squares{} + result;
    }

    // Of the columns more than `reach` and up to `reach + stretch` away from pixels of a vector, or a few more.
    uint16_t least_around(int64_t x, int64_t reach) const {
        constexpr int64_t count = (lanes + 2 * stretch - 2) / stretch;
        const uint16_t* left = least_ + (margin + x - reach - stretch) / stretch;
        const uint16_t* right = least_ + (margin + x + reach + 1) / stretch;
        uint16_t least = nowhere;
        for (int64_t k = 0; k < count; ++k) {
            least = left[k] < least ? left[k] : least;
            least = right[k] < least ? right[k] : least;
        }
        return least;
    }

    uint16_t *heights_, *least_;
};

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
