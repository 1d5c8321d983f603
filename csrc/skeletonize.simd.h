// Thinning of a packed band. Only blocks are looked at that can have changed: a block that nothing changed around since
// the sub-iteration of the same kind before would lose no pixel. For `<op>.simd.cpp` only.
#pragma once

#include "packed.simd.h"
#include "skeletonize.h"
#include "skeletonize_table.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

struct Neighbours {
    Vector left, centre, right;
};

// A vector of a row and its pixels' neighbours on either side.
Neighbours around(const uint64_t* words) {
    const Vector centre = load(words), previous = load(words - vector_words), following = load(words + vector_words);
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

// Words of a block: a whole number of vectors, as few as make 64 blocks at most.
int64_t words_of_block(const Frame& frame) {
    constexpr int64_t words = 64 * vector_words;
    return (frame.packed + words - 1) / words * vector_words;
}

// A bit for every block of a row.
uint64_t every_block(const Frame& frame) {
    const int64_t words = words_of_block(frame);
    return low_bits<uint64_t>((frame.packed + words - 1) / words);
}

// Calls visit(first word, word after the last, block's bit) for every block of a set.
template <typename Visit>
void for_each_block(const Frame& frame, uint64_t blocks, const Visit& visit) {
    const int64_t words = words_of_block(frame);
    for (; blocks; blocks &= blocks - 1) {
        const int64_t block = lowest_bit(blocks), start = block * words, end = start + words;
        visit(start, end < frame.packed ? end : frame.packed, block);
    }
}

// Puts into `gone` what a row loses in these blocks, and into `touched` which blocks lose a pixel or lie by a pixel
// that goes. Returns which lose a pixel.
uint64_t find_gone(const Frame& frame, const uint64_t* row, uint64_t blocks, bool first, uint64_t* gone,
                   uint64_t& touched) {
    uint64_t losing = 0, beside = 0;
    for_each_block(frame, blocks, [&](int64_t start, int64_t end, int64_t block) {
        Vector every_gone{};
        for (int64_t word = start; word < end; word += vector_words) {
            const Vector lost = removed(around(row - frame.stride + word), around(row + word),
                                        around(row + frame.stride + word), first);
            *reinterpret_cast<Vector*>(gone + word) = lost;
            every_gone |= lost;
        }
        if (!any(every_gone)) return;
        losing |= uint64_t(1) << block;
        beside |= ((gone[start] & 1) << block >> 1) | ((gone[end - 1] >> 63) << block << 1);
    });
    touched = (losing | beside) & every_block(frame);
    return losing;
}

void remove(const Frame& frame, uint64_t* row, uint64_t blocks, const uint64_t* gone) {
    for_each_block(frame, blocks, [&](int64_t start, int64_t end, int64_t) {
        for (int64_t word = start; word < end; word += vector_words)
            *reinterpret_cast<Vector*>(row + word) = load(row + word) & ~load(gone + word);
    });
}

// One sub-iteration of rows; whether it removed a pixel. A row's pixels go when the row below has been looked at.
bool thin_rows(const Band& band, int64_t begin, int64_t end, bool first) {
    const int64_t stride = band.frame.stride;
    uint64_t* const touched = band.touched[!first];
    const uint64_t* const touched_last = band.touched[first];
    const auto recent = [&](int64_t y) { return touched[y] | touched_last[y]; };
    uint64_t* row = band.words + band.frame.first_pixel + begin * stride;
    uint64_t above = recent(begin - 1), here = recent(begin), losing_above = 0, every_losing = 0;
    for (int64_t y = begin; y < end; ++y, row += stride) {
        const uint64_t below = recent(y + 1), blocks = above | here | below;
        const uint64_t losing = blocks ? find_gone(band.frame, row, blocks, first, band.gone[y & 1], touched[y]) : 0;
        remove(band.frame, row - stride, losing_above, band.gone[~y & 1]);
        every_losing |= losing;
        losing_above = losing;
        above = here;
        here = below;
    }
    remove(band.frame, row - stride, losing_above, band.gone[~end & 1]);
    return every_losing != 0;
}

// All blocks of all rows are to be looked at.
void start_thinning(const Band& band) {
    const int64_t words = touched_words(band.frame);
    std::memset(band.touched[0] - 1, 0, static_cast<size_t>(2 * words) * sizeof(uint64_t));
    fill(band.touched[1], band.frame.height, every_block(band.frame));
}

// Up to so many sub-iterations (an even number), first and second ones in turn; false where the last two removed
// nothing. After n of them all rows are right but the outer n of a halo, which are looked at no more.
bool thin(const Band& band, int64_t sub_iterations) {
    const auto thin_once = [&](int64_t done, bool first) {
        const int64_t left = done + 1, above = left < band.above ? left : band.above;
        const int64_t below = left < band.below ? left : band.below;
        return thin_rows(band, above, band.frame.height - below, first);
    };
    bool removing = true;
    for (int64_t done = 0; removing && done < sub_iterations; done += 2) {
        removing = thin_once(done, true);
        removing |= thin_once(done + 1, false);
    }
    return removing;
}

// The skeleton of an image in its frame, in place; `words` are as many as `thinning_words` says.
[[maybe_unused]] void skeletonize(const Frame& frame, uint64_t* words) {
    const Band whole = band_in(words, frame, 0, 0);
    start_thinning(whole);
    thin(whole, INT64_MAX);
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
