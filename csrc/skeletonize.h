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

// An image, or rows of it with a halo of rows above and below that other bands own, and what thinning knows of it. A
// row has up to 64 blocks: bit b of touched[0][row] is set where the last first sub-iteration removed a pixel of this
// row in block b or next to it, and touched[1] is the same of second ones.
struct Band {
    Frame frame;
    int64_t above, below;
    uint64_t *words, *touched[2], *gone[2];
};

namespace {

// Words of touched[0] or touched[1]: one a row, one more above and below.
inline int64_t touched_words(const Frame& frame) { return (frame.height + 2 + 7) / 8 * 8; }

// Words of 64 bits that a band needs: the image in its frame comes first.
inline int64_t thinning_words(const Frame& frame) { return frame.words + 2 * (frame.packed + touched_words(frame)); }

// The band in such words, aligned for any vector.
inline Band band_in(uint64_t* words, const Frame& frame, int64_t above, int64_t below) {
    uint64_t *gone = words + frame.words, *touched = gone + 2 * frame.packed + 1;
    return {frame, above, below, words, {touched, touched + touched_words(frame)}, {gone, gone + frame.packed}};
}

}  // namespace

}  // namespace dislayers
