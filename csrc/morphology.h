// Dilation of packed binary rows with the 4-neighbour cross: the algorithm that the CPU and CUDA share.
//
// Pixels are bits of words, the leftmost pixel the lowest bit. Erosion is the dilation of the complement, so there is
// one algorithm; `flip` complements pixels on their way in and out, and whatever lies outside the image is ignored.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace dislayers {

// Images of bytes, nonzero = true, with unit stride between columns. `within` may be null; `out` is dense.
struct Dilation {
    const uint8_t* mask;
    const uint8_t* within;
    uint8_t* out;
    int64_t batch, height, width;
    int64_t mask_stride_batch, mask_stride_row;
    int64_t within_stride_batch, within_stride_row;
    int64_t iterations;
    bool flip;
};

namespace {

// One step: words of a row joined with their copies moved by `reach` pixels up, down, left and right. `before` and
// `after` are the words to the left and right. T is a word, or a vector of words.
template <typename T>
HOST_DEVICE T dilated(T now, T above, T below, T before, T after, int reach, int bits_of_a_word) {
    const int back = bits_of_a_word - reach;
    return now | above | below | (now << reach) | (before >> back) | (now >> reach) | (after << back);
}

// No step reaches further.
constexpr int64_t most_reach = 31;

// Words of 64 pixels that a packed row takes on the CPU: whole vectors of any instruction set.
inline int64_t packed_stride(int64_t width) { return (width + 511) / 512 * 8; }

// How far the next step may reach once `done` iterations are done and `left` are to do. A step of reach 1 is an
// iteration. On a mask of radius a (what `done = a` iterations made of a pixel), a step of reach b makes radius a + b if
// b <= (a + 1) / 2, rounded up, wherever the image's edges cut; a geodesic dilation has no such short cut.
HOST_DEVICE int next_reach(int64_t done, int64_t left, bool geodesic) {
    const int64_t safe = geodesic || done == 0 ? 1 : (done + 2) / 2;
    const int64_t reach = safe < left ? safe : left;
    return static_cast<int>(reach < most_reach ? reach : most_reach);
}

// The bytes of a word to its low bits: bit i is set where byte i is not zero.
HOST_DEVICE uint32_t gather(uint32_t bytes) {
    const uint32_t nonzero = ((((bytes & 0x7f7f7f7fu) + 0x7f7f7f7fu) | bytes) >> 7) & 0x01010101u;
    return (nonzero * 0x01020408u) >> 24;
}

// The low 4 bits of a word to 4 bytes of 0 or 1.
HOST_DEVICE uint32_t spread(uint32_t bits) { return ((bits & 0xfu) * 0x00204081u) & 0x01010101u; }

// Up to one word of pixels, and back.
template <typename Word>
HOST_DEVICE Word pack_pixels(const uint8_t* pixels, int count) {
    Word word = 0;
    for (int i = 0; i < count; ++i) word |= static_cast<Word>(pixels[i] != 0) << i;
    return word;
}

template <typename Word>
HOST_DEVICE void unpack_pixels(Word word, uint8_t* pixels, int count) {
    for (int i = 0; i < count; ++i) pixels[i] = static_cast<uint8_t>((word >> i) & 1);
}

// The lowest `count` bits of a word.
template <typename Word>
HOST_DEVICE Word low_bits(int64_t count) {
    constexpr int64_t bits = 8 * sizeof(Word);
    return count <= 0 ? Word(0) : count >= bits ? ~Word(0) : static_cast<Word>((Word(1) << count) - 1);
}

}  // namespace
}  // namespace dislayers
