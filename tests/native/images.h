// Random images of bytes as tensors hold them, and what is wrong with a result.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../../csrc/images.h"
#include "guarded.h"
#include "random.h"

// Only an oracle and no memory that threads share: ThreadSanitizer would make it the slowest part.
#define UNWATCHED __attribute__((no_sanitize("thread")))

using Bytes = std::vector<uint8_t>;

struct Size {
    int64_t batch, height, width;
    int64_t pixels() const { return batch * height * width; }
};

// Images of bytes as a tensor may hold them: strided, starting anywhere, beside memory that is not theirs.
struct Images {
    int64_t stride_batch, stride_row;
    std::unique_ptr<Guarded> memory;
    dislayers::Masks masks() const { return {memory->data(), stride_batch, stride_row}; }
};

inline UNWATCHED void fill(Random& random, uint64_t percent, uint8_t* bytes, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const uint64_t bits = random.bits();
        bytes[i] = bits % 100 < percent ? static_cast<uint8_t>(1 + (bits >> 32) % 255) : 0;
    }
    // One pixel that differs from all others shows how far every iteration reaches.
    const bool one_differs = !random.one_in(4);
    if (one_differs && (percent == 0 || percent == 100)) bytes[random.between(0, count - 1)] = percent == 0;
}

inline uint64_t random_percent(Random& random) { return random.one_of<uint64_t>({0, 0, 1, 10, 50, 90, 99, 100, 100}); }

inline Images random_images(Random& random, const Size& size, uint64_t percent) {
    Images images;
    const int64_t to_16 = (size.width + 15) / 16 * 16;
    images.stride_row = random.one_of({size.width, size.width, size.width + random.between(1, 40), to_16, int64_t(0)});
    const int64_t image = (size.height - 1) * images.stride_row + size.width;
    images.stride_batch = random.one_of({size.height * images.stride_row, image + random.between(0, 40), int64_t(0)});
    const int64_t bytes = (size.batch - 1) * images.stride_batch + image;
    images.memory = std::make_unique<Guarded>(bytes, random.one_of({Guard::before, Guard::after}));
    fill(random, percent, images.memory->data(), bytes);
    images.memory->forbid_writes();
    return images;
}

inline int64_t random_length(Random& random) {
    if (random.one_in(3)) return random.one_of<int64_t>({1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129});
    return random.between(1, 100);
}

// One image as dense bytes of 0 and 1, or of 1 and 0.
inline UNWATCHED void copy(const Size& size, int64_t image, const Images& images, bool flip, uint8_t* bytes) {
    const uint8_t* source = images.memory->data() + image * images.stride_batch;
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x)
            bytes[y * size.width + x] = (source[y * images.stride_row + x] != 0) != flip;
}

inline std::string product(const Size& size) {
    return std::to_string(size.batch) + " x " + std::to_string(size.height) + " x " + std::to_string(size.width);
}

// What is wrong with an output, or nothing.
inline std::string complaint(const Guarded& out, const Size& size, const Bytes& right) {
    if (!out.margin_is_intact()) return "wrote outside its output";
    if (std::memcmp(out.data(), right.data(), right.size()) == 0) return "";
    int64_t i = 0;
    while (out.data()[i] == right[static_cast<size_t>(i)]) ++i;
    const int64_t row = i / size.width;
    return "has " + std::to_string(out.data()[i]) + " instead of " + std::to_string(right[static_cast<size_t>(i)]) +
           " in image " + std::to_string(row / size.height) + ", row " + std::to_string(row % size.height) +
           ", column " + std::to_string(i % size.width);
}
