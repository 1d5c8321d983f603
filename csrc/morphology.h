// Dilation of packed binary rows with the 3x3 cross or square: the algorithm that the CPU and CUDA share.
//
// Pixels are bits of words, the leftmost pixel the lowest bit. Erosion is the dilation of the complement, so there is
// one algorithm; `flip` complements pixels on their way in and out, and whatever lies outside the image is ignored.
#pragma once

#include "images.h"
#include "packed.h"

namespace dislayers {

// `within` may have no pixels; `out` is dense.
struct Dilation {
    Masks mask, within;
    uint8_t* out;
    int64_t batch, height, width;
    int64_t iterations;
    bool square, flip;
};

namespace {

// One step: a column, which is the words of a row joined with those `reach` rows above and below, and what moves by
// `reach` pixels to the left and right: of a cross the row alone, of a square the column. `before` and `after` are what
// moves of the words to the left and right. T is a word, or a vector of words.
template <typename T>
HOST_DEVICE T dilated(T column, T moving, T before, T after, int reach, int bits_of_a_word) {
    const int back = bits_of_a_word - reach;
    return column | (moving << reach) | (before >> back) | (moving >> reach) | (after << back);
}

// No step reaches further.
constexpr int64_t most_reach = 31;

// How far the next step may reach once `done` iterations are done and `left` are to do. A step of reach 1 is an
// iteration. On a mask of radius a (what `done = a` iterations made of a pixel), a step of reach b makes radius a + b
// if b <= a + 1 for squares, half of it rounded up for crosses, wherever the image's edges cut; a geodesic dilation has
// no such short cut.
HOST_DEVICE int next_reach(int64_t done, int64_t left, bool square, bool geodesic) {
    const int64_t safe = geodesic ? 1 : square ? done + 1 : (done + 2) / 2;
    const int64_t reach = safe < left ? safe : left;
    return static_cast<int>(reach < most_reach ? reach : most_reach);
}

}  // namespace
}  // namespace dislayers
