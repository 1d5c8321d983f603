// Distances up to `farthest` to the nearest pixel that is sought, a row at a time; for `<op>.simd.cpp` only. Bytes hold
// those within columns, 16 bits their squares: both saturate, and with so few bits a vector has many pixels.
#pragma once

#include <stdint.h>
#include <string.h>

#include "near.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr uint8_t farthest = 255;
constexpr uint16_t nowhere = 65535;

// Hands out stretches of a workspace, each aligned for vectors.
class Room {
   public:
    explicit Room(int64_t* words) : next_(reinterpret_cast<unsigned char*>(words)) {}

    template <typename T>
    T* take(int64_t count) {
        T* taken = reinterpret_cast<T*>(next_);
        next_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
        return taken;
    }

    // Whole words of 64 pixels with a margin on both sides, all of one value.
    template <typename T>
    T* take_row(int64_t width, T value) {
        T* taken = take<T>(padded(width));
        for (int64_t x = 0; x < padded(width); ++x) taken[x] = value;
        return taken + margin;
    }

   private:
    unsigned char* next_;
};

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

// The same in place; `others` become the lesser ones of the two.
void pass_and_join(const uint8_t* mask, int64_t width, uint8_t* __restrict passed, uint8_t* __restrict others) {
    for (int64_t x = 0; x < width; ++x) {
        const uint8_t further = static_cast<uint8_t>(passed[x] + (passed[x] < farthest));
        const uint8_t distance = mask[x] ? 0 : further;
        passed[x] = distance;
        others[x] = distance < others[x] ? distance : others[x];
    }
}

// Distances within columns of the rows [first, end) of an image.
class Distances {
   public:
    Distances(int64_t first, int64_t end, int64_t width, Room& room)
        : first_(first), end_(end), ready_(first), width_(width), passed_(room.take_row(width, farthest)) {
        rows_ = room.take_row(width, farthest);
        for (int64_t row = first + 1; row < end; ++row) room.take_row(width, farthest);
    }

    // Passes over the rows upwards. `above` and `below` have each column's nearest row of those before and behind.
    void start(const uint8_t* mask, int64_t stride, const int32_t* above, const int32_t* below) {
        mask_ = mask;
        stride_ = stride;
        const int32_t before = static_cast<int32_t>(first_ - 1), behind = static_cast<int32_t>(end_);
        for (int64_t x = 0; x < width_; ++x) passed_[x] = saturated(below[x] - behind);
        for (int64_t row = end_ - 1; row >= first_; --row)
            pass(mask + row * stride, width_, row + 1 < end_ ? of(row + 1) : passed_, found(row));
        for (int64_t x = 0; x < width_; ++x) passed_[x] = saturated(before - above[x]);
    }

    // Passes downwards, up to a row or the last one.
    void complete(int64_t row) {
        for (; ready_ < end_ && ready_ <= row; ++ready_)
            pass_and_join(mask_ + ready_ * stride_, width_, passed_, found(ready_));
    }

    bool has(int64_t row) const { return row >= first_ && row < end_; }

    const uint8_t* of(int64_t row) const { return rows_ + (row - first_) * padded(width_); }

   private:
    uint8_t* found(int64_t row) { return rows_ + (row - first_) * padded(width_); }

    static uint8_t saturated(int32_t distance) {
        return distance < int32_t(farthest) ? static_cast<uint8_t>(distance) : farthest;
    }

    const int64_t first_, end_;
    int64_t ready_, width_, stride_ = 0;
    uint8_t *passed_, *rows_;
    const uint8_t* mask_ = nullptr;
};

// A row's squared distances within columns, and the least of each `stretch` of them; around both lies nothing.
class Heights {
   public:
    Heights(int64_t width, Room& room)
        : heights_(room.take<uint16_t>(heights_of(width))), least_(room.take<uint16_t>(heights_of(width) / stretch)) {
        for (int64_t x = 0; x < heights_of(width); ++x) heights_[x] = nowhere;
        for (int64_t i = 0; i < heights_of(width) / stretch; ++i) least_[i] = nowhere;
        heights_ += around;
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
            least_[i + around / stretch] = least;
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
        const uint16_t* left = least_ + (around + x - reach - stretch) / stretch;
        const uint16_t* right = least_ + (around + x + reach + 1) / stretch;
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
