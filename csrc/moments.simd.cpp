// Moments of one image, 64 pixels at once.
#include "moments.h"

#include "instruction_set.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// The sum of the places of a word's bits: those of places with bit k set count 2^k each.
int64_t sum_of_places(uint64_t word) {
    return count_bits(word & 0xaaaaaaaaaaaaaaaau) + 2 * count_bits(word & 0xccccccccccccccccu) +
           4 * count_bits(word & 0xf0f0f0f0f0f0f0f0u) + 8 * count_bits(word & 0xff00ff00ff00ff00u) +
           16 * count_bits(word & 0xffff0000ffff0000u) + 32 * count_bits(word & 0xffffffff00000000u);
}

}  // namespace

void sum_image(const Summation& task, int64_t image) {
    int64_t pixels = 0, rows = 0, columns = 0;
    for (int64_t row = 0; row < task.height; ++row) {
        const uint8_t* mask = row_of(task.mask, image, row);
        int64_t of_row = 0;
        for (int64_t column = 0; column < task.width; column += 64) {
            const int64_t left = task.width - column;
            const uint64_t word = left < 64 ? pack_rest(mask + column, left) : pack(mask + column);
            if (!word) continue;
            const int64_t count = count_bits(word);
            of_row += count;
            columns += column * count + sum_of_places(word);
        }
        pixels += of_row;
        rows += row * of_row;
    }
    int64_t* sums = task.sums + 3 * image;
    sums[0] = pixels;
    sums[1] = rows;
    sums[2] = columns;
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
