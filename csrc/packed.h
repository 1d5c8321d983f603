// Pixels as bits of words, the leftmost pixel the lowest bit; for CPU and GPU.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace dislayers {

namespace {

// Words of 64 pixels that a packed row takes on the CPU: whole vectors of any instruction set.
inline int64_t packed_stride(int64_t width) { return (width + 511) / 512 * 8; }

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

// On the CPU: how many bits of a word are set.
inline int count_bits(uint64_t word) {
#if defined(__POPCNT__)
    return __builtin_popcountll(word);
#else
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return static_cast<int>(word * 0x0101010101010101 >> 56);
#endif
}

// The place of the lowest bit of a word that is not 0.
inline int lowest_bit(uint64_t word) {
#if defined(__GNUC__)
    return __builtin_ctzll(word);
#else
    return count_bits((word - 1) & ~word);
#endif
}

}  // namespace
}  // namespace dislayers
