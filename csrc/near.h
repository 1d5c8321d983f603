// Sizes of what finds distances up to 255 to the nearest pixel that is sought: `near.simd.h` has the steps.
#pragma once

#include <cstdint>

namespace dislayers {

namespace {

// A row in a workspace has whole words of pixels, and a margin on both sides.
constexpr int64_t margin = 64;
inline int64_t words_of(int64_t width) { return (width + 63) / 64; }
inline int64_t padded(int64_t width) { return words_of(width) * 64 + 2 * margin; }

// A row of heights is searched in stretches of columns; around it are all that a search can reach, and a vector more.
constexpr int64_t stretch = 16, around = 256 + 3 * stretch;
inline int64_t heights_of(int64_t width) { return (width + stretch - 1) / stretch * stretch + 2 * around; }

}  // namespace

}  // namespace dislayers
