// Components of one image: its runs are found and joined with those of the row above, then written with their labels.
#include "connected_components.h"

#include "instruction_set.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Appends the columns of a word's bits: as many as a register holds at once, of which the rest is overwritten, since
// guessing where to stop costs more.
#if defined(__AVX512F__)
int32_t* append_columns(uint64_t bits, int32_t first, int32_t* columns) {
    const __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int i = 0; i < 64; i += 16) {
        const auto here = static_cast<__mmask16>(bits >> i);
        const __m512i all = _mm512_add_epi32(_mm512_set1_epi32(first + i), places);
        _mm512_storeu_si512(columns, _mm512_maskz_compress_epi32(here, all));
        columns += count_bits(here);
    }
    return columns;
}
#else
int32_t* append_columns(uint64_t bits, int32_t first, int32_t* columns) {
    int32_t* end = columns + count_bits(bits);
    for (; columns < end; columns += 8)
        for (int i = 0; i < 8; ++i) {
            columns[i] = first + lowest_bit(bits | uint64_t(1) << 63);
            bits &= bits - 1;
        }
    return end;
}
#endif

// Appends the runs of a row.
int32_t* append_runs(const uint8_t* mask, int64_t width, int32_t* columns) {
    uint64_t last = 0;
    for (int64_t column = 0; column < width; column += 64) {
        const int64_t left = width - column;
        const uint64_t word = left < 64 ? pack_rest(mask + column, left) : pack(mask + column);
        const uint64_t changes = word ^ (word << 1 | last);
        last = word >> 63;
        if (changes) columns = append_columns(changes, static_cast<int32_t>(column), columns);
    }
    if (last) *columns++ = static_cast<int32_t>(width);
    columns[0] = columns[1] = beyond;
    return columns + 2;
}

int32_t root(int32_t* parent, int64_t run) {
    while (parent[run] != run) run = parent[run] = parent[parent[run]];
    return static_cast<int32_t>(run);
}

// Joins the runs of a row, `first` to `last` - 1, with those of the row above, from `above` on, that touch them.
void join(const Runs& runs, int64_t above, int64_t first, int64_t last, int32_t reach) {
    const int32_t* columns = runs.columns;
    for (int64_t run = first; run < last; ++run) {
        const int32_t start = columns[2 * run] - reach, end = columns[2 * run + 1] + reach;
        while (columns[2 * above + 1] <= start) ++above;
        if (columns[2 * above] >= end) {
            runs.parent[run] = static_cast<int32_t>(run);
            continue;
        }
        int32_t joined = root(runs.parent, above);
        while (columns[2 * above + 2] < end) {
            const int32_t other = root(runs.parent, ++above), earlier = other < joined ? other : joined;
            runs.parent[joined] = runs.parent[other] = earlier;
            joined = earlier;
        }
        runs.parent[run] = joined;
    }
}

// Parents become labels, numbered in the order of the components' first runs; returns how many.
int32_t number(const Runs& runs, int64_t height) {
    int32_t count = 0;
    for (int64_t row = 0; row < height; ++row)
        for (int64_t run = runs.first[row]; run < runs.first[row + 1] - 1; ++run)
            runs.parent[run] = runs.parent[run] == run ? ++count : runs.parent[runs.parent[run]];
    return count;
}

// Elements that `fill_over` may write behind its end.
constexpr int64_t filled_over = 15;

int32_t* fill_over(int32_t* from, int32_t* to, int32_t value) {
    for (; from < to; from += 16)
        for (int i = 0; i < 16; ++i) from[i] = value;
    return to;
}

int32_t* fill_exactly(int32_t* from, int32_t* to, int32_t value) {
    for (; from < to; ++from) *from = value;
    return to;
}

// A row of labels, from its runs `first` to `last` - 1.
template <typename Fill>
void write_row(const Runs& runs, int64_t first, int64_t last, int64_t width, int32_t* labels, const Fill& fill) {
    int32_t* written = labels;
    for (int64_t run = first; run < last; ++run) {
        written = fill(written, labels + runs.columns[2 * run], 0);
        written = fill(written, labels + runs.columns[2 * run + 1], runs.parent[run]);
    }
    fill(written, labels + width, 0);
}

}  // namespace

void label_image(const Labelling& task, int64_t image, const Runs& runs) {
    const int64_t height = task.height, width = task.width;
    runs.columns[0] = runs.columns[1] = beyond;
    runs.first[0] = 1;
    for (int64_t row = 0; row < height; ++row) {
        const uint8_t* mask = row_of(task.mask, image, row);
        const int64_t first = runs.first[row], above = row ? runs.first[row - 1] : 0;
        runs.first[row + 1] = (append_runs(mask, width, runs.columns + 2 * first) - runs.columns) / 2;
        join(runs, above, first, runs.first[row + 1] - 1, task.diagonal ? 1 : 0);
    }
    task.counts[image] = number(runs, height);
    for (int64_t row = 0; row < height; ++row) {
        int32_t* labels = task.labels + (image * height + row) * width;
        const int64_t first = runs.first[row], last = runs.first[row + 1] - 1;
        // What is written over is of later rows of the image, so that it is written again.
        if ((height - 1 - row) * width >= filled_over)
            write_row(runs, first, last, width, labels, fill_over);
        else
            write_row(runs, first, last, width, labels, fill_exactly);
    }
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
