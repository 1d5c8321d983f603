// The nearest pixel of those that are sought in a binary image, for the ops that measure distances.
//
// First by columns: the nearest sought row above and below. Then by rows: pixel x takes the column j with the smallest
// (x - j)^2 + g_j^2, where g_j is the distance within column j. Less x^2, which all columns share, that is
// (j^2 + g_j^2) - 2 x j: a height of each column, and one addition a step. The best column never moves left as x grows,
// so pixels between two others only try the columns between the best ones of those.
#pragma once

#include "images.h"

namespace dislayers {

// Sought are the pixels that are `value`.
struct Sought {
    Masks masks;
    int64_t batch, height, width;
    bool value;
};

namespace {

// Whether 32 bits hold all that is compared, with distances within columns of at most `far`: up to images of about
// 20000 x 20000.
inline bool fits_32_bits(int64_t width, int64_t far) {
    const int64_t most = far > width ? far : width;
    return most < 46341 && most * most + width * width <= INT32_MAX;
}

// Elements of a row in a workspace: whole vectors, and one vector more.
inline int64_t row_stride(int64_t width) { return (width + 15) / 16 * 16 + 16; }

}  // namespace

}  // namespace dislayers
