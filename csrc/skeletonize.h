// Thinning of binary images to skeletons.
#pragma once

#include "framed.h"
#include "images.h"

namespace dislayers {

// `out` is dense.
struct Thinning {
    Masks mask;
    uint8_t* out;
    int64_t batch, height, width;
};

namespace {

// Words of 64 bits and bytes of flags that thinning one image needs: the image in its frame, and two rows more.
inline int64_t thinning_words(const Frame& frame) { return frame.words + 2 * frame.stride; }
inline int64_t thinning_flags(const Frame& frame) {
    return 2 * (frame.height + 2) * (frame.packed + 2) + 2 * (frame.height + 2);
}

}  // namespace

}  // namespace dislayers
