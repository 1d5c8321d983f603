// Thinning of binary images to skeletons.
#pragma once

#include <cstdint>

namespace dislayers {

// Images of bytes, nonzero = true, with unit stride between columns; `out` is dense.
struct Thinning {
    const uint8_t* mask;
    uint8_t* out;
    int64_t batch, height, width;
    int64_t mask_stride_batch, mask_stride_row;
};

namespace {

// Words of 64 bits and bytes of flags that thinning one image needs.
inline int64_t thinning_stride(int64_t packed_stride) { return packed_stride + 16; }
inline int64_t thinning_words(int64_t height, int64_t packed_stride) {
    return (height + 4) * thinning_stride(packed_stride);
}
inline int64_t thinning_flags(int64_t height, int64_t packed_stride) {
    return 2 * (height + 2) * (packed_stride + 2) + 2 * (height + 2);
}

}  // namespace

}  // namespace dislayers
