// Steps of the search for the nearest pixel, a row at a time; for `<op>.simd.cpp` only.
#pragma once

#include <string.h>

#include "nearest.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

#if defined(__AVX512F__)
constexpr int64_t vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int64_t vector_bytes = 32;
#else
constexpr int64_t vector_bytes = 16;
#endif

template <typename T>
struct Vector {
    typedef T type __attribute__((vector_size(vector_bytes)));
    static constexpr int64_t lanes = vector_bytes / static_cast<int64_t>(sizeof(T));
};

// 0, 1, 2 ... as a vector.
template <typename T>
typename Vector<T>::type first_numbers() {
    typename Vector<T>::type numbers;
    for (int64_t i = 0; i < Vector<T>::lanes; ++i) numbers[i] = static_cast<T>(i);
    return numbers;
}

// The smaller of each lane. Compilers make a comparison and a blend of `a < b ? a : b`, of three times the latency.
template <typename Lanes>
Lanes smaller(Lanes a, Lanes b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(a[0]) == 8) return (Lanes)_mm512_maskz_min_epi64(0xff, (__m512i)a, (__m512i)b);
    if constexpr (sizeof(a[0]) == 4) return (Lanes)_mm512_maskz_min_epi32(0xffff, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    if constexpr (sizeof(a[0]) == 4) return (Lanes)_mm256_min_epi32((__m256i)a, (__m256i)b);
#endif
    return a < b ? a : b;
}

template <typename T>
struct Best {
    typename Vector<T>::type height, column;
};

// From the nearest sought row of each column before `row`, in the direction of a pass, to that once `row` was passed.
void pass(const Sought& sought, int64_t image, int64_t row, const int32_t* before, int32_t* after) {
    const uint8_t* mask = row_of(sought.masks, image, row);
    const int32_t here = static_cast<int32_t>(row);
    if (sought.value) {
        for (int64_t x = 0; x < sought.width; ++x) after[x] = mask[x] ? here : before[x];
    } else {
        for (int64_t x = 0; x < sought.width; ++x) after[x] = mask[x] ? before[x] : here;
    }
}

// Rows [first, last), downwards or upwards.
[[maybe_unused]] void pass_all(const Sought& sought, int64_t image, int64_t first, int64_t last, bool down,
                               int32_t* rows) {
    for (int64_t i = 0; i < last - first; ++i) pass(sought, image, down ? first + i : last - 1 - i, rows, rows);
}

// The nearest sought rows from those above and below: the upper one of equals.
void join(const int32_t* above, int64_t row, int64_t width, int32_t* below) {
    const int32_t here = static_cast<int32_t>(row);
    for (int64_t x = 0; x < width; ++x) below[x] = here - above[x] <= below[x] - here ? above[x] : below[x];
}

// Of a row, with distances within columns of at most `far`.
template <typename T>
void find_heights(const int32_t* nearest, int64_t row, int64_t width, int64_t far, T* heights) {
    const int32_t here = static_cast<int32_t>(row), most = static_cast<int32_t>(far);
    for (int64_t x = 0; x < width; ++x) {
        const int32_t rows = nearest[x] < here ? here - nearest[x] : nearest[x] - here;
        const T distance = rows < most ? rows : most, column = static_cast<T>(x);
        heights[x] = column * column + distance * distance;
    }
}

// The best columns of [first, last] for as many pixels as a vector has lanes; the first of equals.
template <typename T>
Best<T> search(const T* heights, int64_t first, int64_t last, typename Vector<T>::type pixels) {
    using Lanes = typename Vector<T>::type;
    const Lanes step = pixels + pixels;
    Lanes product = step * static_cast<T>(first), column = Lanes{} + static_cast<T>(first);
    Best<T> best = {heights[first] - product, column};
    for (int64_t j = first + 1; j <= last; ++j) {
        product += step;
        column += 1;
        const Lanes height = heights[j] - product;
        best.column = height < best.height ? column : best.column;
        best.height = smaller(height, best.height);
    }
    return best;
}

// Squared distances and best columns of a row, in vectors of pixels [first, last) where wanted(first, last) is true.
// Every `gap`-th pixel's best column is known, then that of every `gap / lanes`-th and so on; `bounds` has room for two
// such rows.
template <typename T, typename Wanted>
void solve(const T* heights, int64_t width, T* const bounds[2], T* squares, T* columns, const Wanted& wanted) {
    using Lanes = typename Vector<T>::type;
    constexpr int64_t lanes = Vector<T>::lanes;
    const Lanes lane = first_numbers<T>(), rightmost = Lanes{} + static_cast<T>(width - 1);
    T *known = bounds[0], *next = bounds[1];
    known[0] = 0;
    known[1] = static_cast<T>(width - 1);
    int64_t gap = lanes;
    while (gap < width) gap *= lanes;
    for (; gap > 1; gap /= lanes) {
        const int64_t finer = gap / lanes;
        T* found = finer == 1 ? columns : next;
        for (int64_t i = 0; i * gap < width; ++i) {
            found[i * lanes] = known[i];
            if (!wanted(i * gap, (i + 1) * gap < width ? (i + 1) * gap : width)) continue;
            const Lanes pixels = smaller(lane * static_cast<T>(finer) + static_cast<T>(i * gap), rightmost);
            const Best<T> best = search(heights, known[i], known[i + 1], pixels);
            memcpy(found + i * lanes, &best.column, vector_bytes);
            if (finer > 1) continue;
            const Lanes square = best.height + pixels * pixels;
            memcpy(squares + i * lanes, &square, vector_bytes);
        }
        if (finer > 1) next[(width - 1) / finer + 1] = static_cast<T>(width - 1);
        next = known;
        known = found;
    }
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
