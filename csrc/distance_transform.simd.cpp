// Rows of a band, after what lies above and below the band has been found for every column.
#include "distance_transform.h"

#include <math.h>
#include <string.h>

#include "instruction_set.h"

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

const uint8_t* mask_row(const DistanceTransform& task, int64_t image, int64_t row) {
    return task.mask + image * task.mask_stride_batch + row * task.mask_stride_row;
}

// What is nearest in each column, once `row` has been passed.
void pass(const uint8_t* mask, int64_t row, int64_t width, const int32_t* before, int32_t* after) {
    const int32_t here = static_cast<int32_t>(row);
    for (int64_t x = 0; x < width; ++x) after[x] = mask[x] ? before[x] : here;
}

// Of a row: the nearest false row of each column (above, if as near), and the columns' heights.
template <typename T>
void measure(const int32_t* __restrict above, int64_t row, int64_t width, int64_t far, int32_t* __restrict nearest,
             T* __restrict heights) {
    const int32_t here = static_cast<int32_t>(row), most = static_cast<int32_t>(far);
    for (int64_t x = 0; x < width; ++x) {
        const int32_t up = here - above[x], down = nearest[x] - here;
        nearest[x] = up <= down ? above[x] : nearest[x];
        const int32_t rows = up <= down ? up : down;
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

// Squared distances and best columns of a row. Every `gap`-th pixel's best column is known, then that of every
// `gap / lanes`-th and so on; `bounds` has room for two such rows.
template <typename T>
void solve(const T* heights, int64_t width, T* const bounds[2], T* squares, T* columns) {
    using Lanes = typename Vector<T>::type;
    constexpr int64_t lanes = Vector<T>::lanes;
    Lanes lane;
    for (int64_t i = 0; i < lanes; ++i) lane[i] = static_cast<T>(i);
    const Lanes rightmost = Lanes{} + static_cast<T>(width - 1);
    T *known = bounds[0], *next = bounds[1];
    known[0] = 0;
    known[1] = static_cast<T>(width - 1);
    int64_t gap = lanes;
    while (gap < width) gap *= lanes;
    for (; gap > 1; gap /= lanes) {
        const int64_t finer = gap / lanes;
        T* found = finer == 1 ? columns : next;
        for (int64_t i = 0; i * gap < width; ++i) {
            Lanes pixels = lane * static_cast<T>(finer) + static_cast<T>(i * gap);
            pixels = smaller(pixels, rightmost);
            const Best<T> best = search(heights, known[i], known[i + 1], pixels);
            memcpy(found + i * lanes, &best.column, vector_bytes);
            if (finer == 1) {
                const Lanes square = best.height + pixels * pixels;
                memcpy(squares + i * lanes, &square, vector_bytes);
            }
        }
        if (finer > 1) next[(width - 1) / finer + 1] = static_cast<T>(width - 1);
        next = known;
        known = found;
    }
}

// Roots, correctly rounded: below 2^24 a float holds the square itself.
template <typename T>
void take_roots(const T* __restrict squares, int64_t width, float* __restrict roots) {
    T largest = 0;
    for (int64_t x = 0; x < width; ++x) largest = squares[x] > largest ? squares[x] : largest;
    if (largest < 1 << 24) {
        for (int64_t x = 0; x < width; ++x) roots[x] = sqrtf(static_cast<float>(squares[x]));
    } else {
        for (int64_t x = 0; x < width; ++x) roots[x] = static_cast<float>(sqrt(static_cast<double>(squares[x])));
    }
}

template <typename T>
void transform_rows(const DistanceTransform& task, int64_t image, int64_t first, int64_t last, const int32_t* above,
                    const int32_t* below, int64_t* workspace) {
    const int64_t width = task.width, stride = row_stride(width), far = too_far(task);
    int32_t* passed = reinterpret_cast<int32_t*>(workspace);
    int32_t* nearest = passed + stride;
    T* heights = reinterpret_cast<T*>(nearest + (last - first) * stride);
    T *squares = heights + stride, *columns = squares + stride;
    T* const bounds[2] = {columns + stride, columns + 2 * stride};

    for (int64_t row = last - 1; row >= first; --row) {
        int32_t* now = nearest + (row - first) * stride;
        pass(mask_row(task, image, row), row, width, row + 1 < last ? now + stride : below, now);
    }
    memcpy(passed, above, static_cast<size_t>(width) * sizeof(int32_t));
    for (int64_t row = first; row < last; ++row) {
        int32_t* now = nearest + (row - first) * stride;
        const int64_t start = (image * task.height + row) * width;
        pass(mask_row(task, image, row), row, width, passed, passed);
        measure(passed, row, width, far, now, heights);
        solve(heights, width, bounds, squares, columns);
        take_roots(squares, width, task.distance + start);
        if (!task.index) continue;
        for (int64_t x = 0; x < width; ++x) task.index[start + x] = now[columns[x]] * width + columns[x];
    }
}

}  // namespace

// The first and the last false row of each column of a band; these stay as they are where there is none.
void find_false_rows(const DistanceTransform& task, int64_t image, int64_t first, int64_t last, int32_t* first_false,
                     int32_t* last_false) {
    for (int64_t row = first; row < last; ++row)
        pass(mask_row(task, image, row), row, task.width, last_false, last_false);
    for (int64_t row = last - 1; row >= first; --row)
        pass(mask_row(task, image, row), row, task.width, first_false, first_false);
}

// Rows [first, last) of an image: `above` and `below` have each column's nearest false row outside the band.
void transform_band(const DistanceTransform& task, int64_t image, int64_t first, int64_t last, const int32_t* above,
                    const int32_t* below, int64_t* workspace) {
    if (fits_32_bits(task)) {
        transform_rows<int32_t>(task, image, first, last, above, below, workspace);
    } else {
        transform_rows<int64_t>(task, image, first, last, above, below, workspace);
    }
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
