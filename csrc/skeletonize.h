// Thinning of binary images to skeletons.
#pragma once

#include "framed.h"

namespace dislayers {

// Images of bytes, nonzero = true, with unit stride between columns; `out` is dense.
struct Thinning {
    const uint8_t* mask;
    uint8_t* out;
    int64_t batch, height, width;
    int64_t mask_stride_batch, mask_stride_row;
};

namespace {

// Words of 64 bits and bytes of flags that thinning one image needs: the image in its frame, and two rows more.
inline int64_t thinning_words(const Frame& frame) { return frame.words + 2 * frame.stride; }
inline int64_t thinning_flags(const Frame& frame) {
    return 2 * (frame.height + 2) * (frame.packed + 2) + 2 * (frame.height + 2);
}

}  // namespace

}  // namespace dislayers
