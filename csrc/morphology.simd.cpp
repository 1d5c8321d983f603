// Rows of one image, packed 64 pixels a word, all iterations while they are in the cache.
#include "morphology.h"

#include "instruction_set.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// A long geodesic dilation stops once nothing changes.
constexpr int64_t iterations_between_looks = 32;

// A row of `stride` words. `within` is zero wherever a word is no part of the image, so a step clears what it spilled.
template <bool square>
void dilate_row(const uint64_t* now, const uint64_t* within, uint64_t* next, int64_t stride, int reach) {
    const auto column = [&](int64_t i) {
        return load(now + i) | load(now + i - reach * stride) | load(now + i + reach * stride);
    };
    const auto moving = [&](int64_t i) { return square ? column(i) : load(now + i); };
    Vector previous{}, centre = moving(0);
    for (int64_t i = 0; i < stride; i += vector_words) {
        const Vector following = i + vector_words < stride ? moving(i + vector_words) : Vector{};
        const Vector grown = dilated(square ? centre : column(i), centre, word_before(previous, centre),
                                     word_after(centre, following), reach, 64);
        *reinterpret_cast<Vector*>(next + i) = grown & load(within + i);
        previous = centre;
        centre = following;
    }
}

// One step of `rows` rows; `within` may be one row for all, with a stride of 0.
template <bool square>
void dilate_step(const uint64_t* now, const uint64_t* within, int64_t within_stride, uint64_t* next, int64_t rows,
                 int64_t stride, int reach) {
    for (int64_t row = 0; row < rows; ++row)
        dilate_row<square>(now + row * stride, within + row * within_stride, next + row * stride, stride, reach);
}

}  // namespace

// Rows [first, last) of one image of the batch. The workspace has three buffers of `words` words each, aligned for any
// vector; a packed row takes `stride` words.
void dilate_rows(const Dilation& task, int64_t image, int64_t first, int64_t last, uint64_t* workspace, int64_t words) {
    const int64_t stride = packed_stride(task.width);
    const int64_t halo_first = first > task.iterations ? first - task.iterations : 0;
    const int64_t halo_last = task.height - last > task.iterations ? last + task.iterations : task.height;
    const int64_t count = (halo_last - halo_first) * stride;
    const uint64_t flip = task.flip ? ~uint64_t(0) : 0;
    const bool geodesic = task.within.pixels;

    // Rows of zeros above and below: the image's edge, or a halo that is already spent.
    const int64_t zeros = most_reach * stride;
    uint64_t* now = workspace + zeros;
    uint64_t* next = now + words;
    uint64_t* within = next + words;
    for (int i = 0; i < 2; ++i) {
        fill(workspace + i * words, zeros, 0);
        fill(workspace + i * words + zeros + count, zeros, 0);
    }

    for (int64_t row = halo_first; row < halo_last; ++row) {
        uint64_t* packed = now + (row - halo_first) * stride;
        pack_row(row_of(task.mask, image, row), task.width, flip, packed, stride);
        if (geodesic)
            pack_row(row_of(task.within, image, row), task.width, 0, within + (row - halo_first) * stride, stride);
    }
    // Without `within`, one row says for all which bits are part of the image.
    const int64_t within_stride = geodesic ? stride : 0;
    for (int64_t i = 0; i < stride && !geodesic; ++i) within[i] = low_bits<uint64_t>(task.width - 64 * i);

    const auto step = task.square ? dilate_step<true> : dilate_step<false>;
    int64_t looked = 0;
    for (int64_t done = 0; done < task.iterations;) {
        const int reach = next_reach(done, task.iterations - done, task.square, geodesic);
        step(now, within, within_stride, next, halo_last - halo_first, stride, reach);
        uint64_t* newest = next;
        next = now;
        now = newest;
        done += reach;
        if (done - looked >= iterations_between_looks) {
            if (std::memcmp(now, next, static_cast<size_t>(count) * sizeof(uint64_t)) == 0) break;
            looked = done;
        }
    }
    uint8_t* out = task.out + image * task.height * task.width;
    for (int64_t row = first; row < last; ++row)
        unpack_row(now + (row - halo_first) * stride, task.width, flip, out + row * task.width);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
