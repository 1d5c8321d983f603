// Thinning of one packed image. Only blocks are looked at that can have changed: a block that nothing changed around
// since the sub-iteration of the same kind before would lose no pixel. For `<op>.simd.cpp` only.
#pragma once

#include "packed.simd.h"
#include "skeletonize.h"
#include "skeletonize_table.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Flags of a block or row: changed in the last sub-iteration, changed in the one before.
constexpr uint8_t changed = 1;
constexpr uint8_t before = 2;

struct Neighbours {
    Vector left, centre, right;
};

// A block of a row and its pixels' neighbours on either side.
Neighbours around(const uint64_t* block) {
    const Vector centre = load(block), previous = load(block - vector_words), following = load(block + vector_words);
    return {(centre << 1) | (word_before(previous, centre) >> 63), centre,
            (centre >> 1) | (word_after(centre, following) << 63)};
}

Vector removed(const Neighbours& above, const Neighbours& row, const Neighbours& below, bool first) {
    const Vector by_neighbours =
        first ? removed_first<Vector>(above.left, above.centre, above.right, row.right, below.right, below.centre,
                                      below.left, row.left)
              : removed_second<Vector>(above.left, above.centre, above.right, row.right, below.right, below.centre,
                                       below.left, row.left);
    return by_neighbours & row.centre;
}

// One sub-iteration of a row; `above` and `now` are the rows as they were before it. Returns the row's flags.
uint8_t thin_row(const uint64_t* above, const uint64_t* now, uint64_t* row, int64_t stride, int64_t blocks,
                 const uint8_t* flags, uint8_t* next_flags, bool first) {
    uint8_t row_flags = 0;
    for (int64_t block = 0; block < blocks; ++block) {
        uint8_t active = 0;
        for (int64_t i = block - 1; i <= block + 1; ++i)
            active |= flags[i] | flags[i - (blocks + 2)] | flags[i + (blocks + 2)];
        uint8_t flag = static_cast<uint8_t>(flags[block] << 1) & before;
        if (active) {
            const int64_t word = block * vector_words;
            const Neighbours centre = around(now + word);
            const Vector gone = removed(around(above + word), centre, around(row + stride + word), first);
            if (any(gone)) {
                flag |= changed;
                *reinterpret_cast<Vector*>(row + word) = centre.centre & ~gone;
            }
        }
        next_flags[block] = flag;
        row_flags |= flag;
    }
    return row_flags;
}

// The skeleton of an image in its frame, in place; the workspace is as `thinning_words` and `thinning_flags` say, and
// `words` is aligned for any vector.
void thin(const Frame& frame, uint64_t* words, uint8_t* flags) {
    const int64_t height = frame.height, stride = frame.stride;
    const int64_t blocks = frame.packed / vector_words, row_of_flags = blocks + 2;
    uint64_t* pixels = words + frame.first_pixel;
    uint64_t* kept[2] = {pixels + (height + 1) * stride, pixels + (height + 2) * stride};
    std::memset(words + frame.words, 0, static_cast<size_t>(2 * stride) * sizeof(uint64_t));
    std::memset(flags, 0, static_cast<size_t>(thinning_flags(frame)));

    uint8_t* of_blocks[2] = {flags + row_of_flags + 1, flags + (height + 3) * row_of_flags + 1};
    uint8_t* of_rows[2] = {flags + 2 * (height + 2) * row_of_flags + 1, nullptr};
    of_rows[1] = of_rows[0] + height + 2;
    for (int64_t row = 0; row < height; ++row) {
        std::memset(of_blocks[0] + row * row_of_flags, changed | before, static_cast<size_t>(blocks));
        of_rows[0][row] = changed | before;
    }

    uint8_t any_row = changed;
    for (bool first = true; any_row; first = !first) {
        any_row = 0;
        const uint64_t* above = pixels - stride;
        int keep = 0;
        for (int64_t row = 0; row < height; ++row) {
            uint64_t* now = pixels + row * stride;
            uint8_t* next_flags = of_blocks[1] + row * row_of_flags;
            if (of_rows[0][row - 1] | of_rows[0][row] | of_rows[0][row + 1]) {
                std::memcpy(kept[keep] - 8, now - 8, static_cast<size_t>(stride) * sizeof(uint64_t));
                of_rows[1][row] = thin_row(above, kept[keep], now, stride, blocks, of_blocks[0] + row * row_of_flags,
                                           next_flags, first);
                above = kept[keep];
                keep = 1 - keep;
            } else {
                std::memset(next_flags, 0, static_cast<size_t>(blocks));
                of_rows[1][row] = 0;
                above = now;
            }
            any_row |= of_rows[1][row];
        }
        uint8_t* swapped = of_blocks[0];
        of_blocks[0] = of_blocks[1];
        of_blocks[1] = swapped;
        swapped = of_rows[0];
        of_rows[0] = of_rows[1];
        of_rows[1] = swapped;
    }
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
