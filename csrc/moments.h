// Moments of masks.
#pragma once

#include <cstdint>

namespace dislayers {

// Images of bytes, nonzero = true, with unit stride between columns; `sums` is dense, (batch, 3): set pixels, their
// rows, their columns.
struct Summation {
    const uint8_t* mask;
    int64_t* sums;
    int64_t batch, height, width;
    int64_t mask_stride_batch, mask_stride_row;
};

}  // namespace dislayers
