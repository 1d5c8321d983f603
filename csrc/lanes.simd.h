// Vectors of floats, one channel in each lane, and maps that are read into such vectors; for `<op>.simd.cpp` only.
#pragma once

#include <stdint.h>
#include <string.h>

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

#if defined(__AVX512F__)
constexpr int64_t lanes = 16;
#elif defined(__AVX2__)
constexpr int64_t lanes = 8;
#else
constexpr int64_t lanes = 4;
#endif

#if defined(__GNUC__)
using Lanes = float __attribute__((vector_size(4 * lanes)));
inline Lanes broadcast(float number) { return number - Lanes{}; }
#else
struct Lanes {
    float values[lanes];
    float& operator[](int64_t i) { return values[i]; }
    float operator[](int64_t i) const { return values[i]; }
    Lanes& operator+=(const Lanes& other) {
        for (int64_t i = 0; i < lanes; ++i) values[i] += other.values[i];
        return *this;
    }
};
inline Lanes broadcast(float number) {
    Lanes all;
    for (int64_t i = 0; i < lanes; ++i) all[i] = number;
    return all;
}
inline Lanes operator+(Lanes a, const Lanes& b) { return a += b; }
inline Lanes operator*(Lanes a, const Lanes& b) {
    for (int64_t i = 0; i < lanes; ++i) a.values[i] *= b.values[i];
    return a;
}
#endif

inline Lanes load_lanes(const float* from) {
    Lanes loaded;
    memcpy(&loaded, from, sizeof loaded);
    return loaded;
}

inline void store_lanes(float* to, const Lanes& stored) { memcpy(to, &stored, sizeof stored); }

// The numbers of two vectors in turn: first of all, or last of all.
#if defined(__clang__) || __GNUC__ >= 12
#define DISLAYERS_SHUFFLED(A, B, ...) __builtin_shufflevector(A, B, __VA_ARGS__)
#elif defined(__GNUC__)
using Places = int32_t __attribute__((vector_size(4 * lanes)));
#define DISLAYERS_SHUFFLED(A, B, ...) __builtin_shuffle(A, B, Places{__VA_ARGS__})
#endif
#if defined(__AVX512F__)
inline Lanes first_in_turn(Lanes a, Lanes b) {
    return DISLAYERS_SHUFFLED(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
inline Lanes last_in_turn(Lanes a, Lanes b) {
    return DISLAYERS_SHUFFLED(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif defined(__AVX2__)
inline Lanes first_in_turn(Lanes a, Lanes b) { return DISLAYERS_SHUFFLED(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
inline Lanes last_in_turn(Lanes a, Lanes b) { return DISLAYERS_SHUFFLED(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#elif defined(__GNUC__)
inline Lanes first_in_turn(Lanes a, Lanes b) { return DISLAYERS_SHUFFLED(a, b, 0, 4, 1, 5); }
inline Lanes last_in_turn(Lanes a, Lanes b) { return DISLAYERS_SHUFFLED(a, b, 2, 6, 3, 7); }
#else
inline Lanes first_in_turn(Lanes a, Lanes b) { return {a[0], b[0], a[1], b[1]}; }
inline Lanes last_in_turn(Lanes a, Lanes b) { return {a[2], b[2], a[3], b[3]}; }
#endif

// Rows become columns: a perfect shuffle of the rows, as often as the number of lanes has bits.
inline void transpose(Lanes (&rows)[lanes]) {
    for (int64_t step = 1; step < lanes; step *= 2) {
        Lanes shuffled[lanes];
        for (int64_t i = 0; i < lanes / 2; ++i) {
            shuffled[2 * i] = first_in_turn(rows[i], rows[i + lanes / 2]);
            shuffled[2 * i + 1] = last_in_turn(rows[i], rows[i + lanes / 2]);
        }
        for (int64_t i = 0; i < lanes; ++i) rows[i] = shuffled[i];
    }
}

// `count` numbers of each of `channels` <= lanes channels, into one vector a number; channels that lack are 0.
inline void gather(const float* from, int64_t channel_stride, int64_t stride, int64_t channels, int64_t count,
                   Lanes* to) {
    if (channels == lanes && channel_stride == 1) {
        for (int64_t i = 0; i < count; ++i) to[i] = load_lanes(from + i * stride);
    } else if (channels == lanes && stride == 1 && count >= lanes) {
        for (int64_t i = 0; i < count; i += lanes) {
            if (i > count - lanes) i = count - lanes;
            Lanes rows[lanes];
            for (int64_t c = 0; c < lanes; ++c) rows[c] = load_lanes(from + c * channel_stride + i);
            transpose(rows);
            for (int64_t c = 0; c < lanes; ++c) to[i + c] = rows[c];
        }
    } else {
        for (int64_t i = 0; i < count; ++i) {
            to[i] = Lanes{};
            for (int64_t c = 0; c < channels; ++c) to[i][c] = from[c * channel_stride + i * stride];
        }
    }
}

// The reverse of gather.
inline void scatter(const Lanes* from, int64_t count, float* to, int64_t channel_stride, int64_t stride,
                    int64_t channels) {
    if (channels == lanes && channel_stride == 1) {
        for (int64_t i = 0; i < count; ++i) store_lanes(to + i * stride, from[i]);
    } else if (channels == lanes && stride == 1 && count >= lanes) {
        for (int64_t i = 0; i < count; i += lanes) {
            if (i > count - lanes) i = count - lanes;
            Lanes rows[lanes];
            for (int64_t c = 0; c < lanes; ++c) rows[c] = from[i + c];
            transpose(rows);
            for (int64_t c = 0; c < lanes; ++c) store_lanes(to + c * channel_stride + i, rows[c]);
        }
    } else {
        for (int64_t i = 0; i < count; ++i)
            for (int64_t c = 0; c < channels; ++c) to[c * channel_stride + i * stride] = from[i][c];
    }
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
