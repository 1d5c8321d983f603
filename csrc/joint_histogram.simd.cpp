// Joint histogram of a band of rows. Black and white pixels of a uint8 prediction, often nearly all, are counted 64 at
// once, unless most are grey.
#include "joint_histogram.h"

#include "instruction_set.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// (ways, 2, steps)
struct Counts {
    int64_t* first;
    int64_t steps;
    double scale;
};

#if defined(__AVX512BW__)
uint64_t equal(const uint8_t* pixels, uint8_t value) {
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(pixels), _mm512_set1_epi8(static_cast<char>(value)));
}
#elif defined(__AVX2__)
uint64_t equal(const uint8_t* pixels, uint8_t value) {
    const auto half = [&](int index) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels) + index);
        const __m256i found = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(static_cast<char>(value)));
        return static_cast<uint32_t>(_mm256_movemask_epi8(found));
    };
    return half(0) | static_cast<uint64_t>(half(1)) << 32;
}
#else
uint64_t equal(const uint8_t* pixels, uint8_t value) {
    uint64_t other = 0;
    for (int i = 0; i < 16; ++i) {
        uint32_t bytes;
        std::memcpy(&bytes, pixels + 4 * i, 4);
        other |= static_cast<uint64_t>(gather(bytes ^ (value * 0x01010101u))) << (4 * i);
    }
    return ~other;
}
#endif

// Grey pixels of 64 from which on it is faster to count all 64 in turn.
constexpr int many = 32;

void count_in_turn(const uint8_t* pred, uint64_t truth, const Counts& counts) {
    uint8_t truths[64];
    uint16_t places[64];
    unpack(truth, truths);
    for (int i = 0; i < 64; ++i) places[i] = static_cast<uint16_t>(truths[i] << 8 | pred[i]);
    for (int i = 0; i < 64; ++i) ++counts.first[512 * (i % ways) + places[i]];
}

// Up to 64 pixels, in memory for 64: those of `valid`.
void count(const uint8_t* pred, uint64_t truth, uint64_t valid, const Counts& counts) {
    const uint64_t black = equal(pred, 0) & valid, white = equal(pred, 255) & valid;
    uint64_t grey = valid & ~(black | white);
    if (count_bits(grey) >= many && valid == ~uint64_t(0)) return count_in_turn(pred, truth, counts);
    counts.first[0] += count_bits(black & ~truth);
    counts.first[255] += count_bits(white & ~truth);
    counts.first[256] += count_bits(black & truth);
    counts.first[511] += count_bits(white & truth);
    for (; grey; grey &= grey - 1) {
        const int i = lowest_bit(grey);
        ++counts.first[512 * (i % ways) + static_cast<int64_t>(truth >> i & 1) * 256 + pred[i]];
    }
}

// A step is the truncated value * (bins - 1); NaN counts as 0.
template <typename Real>
void count(const Real* pred, uint64_t truth, uint64_t valid, const Counts& counts) {
    int32_t steps[64];
    for (int i = 0; i < 64; ++i) {
        const double value = static_cast<double>(pred[i]), positive = value > 0 ? value : 0;
        steps[i] = static_cast<int32_t>((positive < 1 ? positive : 1) * counts.scale);
    }
    for (int i = 0; valid; ++i, valid >>= 1, truth >>= 1)
        ++counts.first[(i % ways * 2 + static_cast<int64_t>(truth & 1)) * counts.steps + steps[i]];
}

template <typename Value>
void count_row(const Value* pred, const uint8_t* gt, int64_t width, const Counts& counts) {
    const int64_t whole = width / 64 * 64, rest = width - whole;
    for (int64_t i = 0; i < whole; i += 64) count(pred + i, pack(gt + i), ~uint64_t(0), counts);
    if (rest) {
        Value copy[64] = {};
        std::memcpy(copy, pred + whole, static_cast<size_t>(rest) * sizeof(Value));
        count(copy, pack_rest(gt + whole, rest), low_bits<uint64_t>(rest), counts);
    }
}

template <typename Value>
void count_all(const JointCounting& task, int64_t image, int64_t first, int64_t last, const Counts& counts) {
    for (int64_t row = first; row < last; ++row)
        count_row(row_of<Value>(task.pred, image, row), row_of(task.gt, image, row), task.width, counts);
}

}  // namespace

// Rows first to last - 1 of an image; `counts` is as `joint_counts` says, and its first way gets the result.
void count_rows(const JointCounting& task, int64_t image, int64_t first, int64_t last, int64_t* counts) {
    const int64_t steps = steps_of(task), of_a_way = 2 * steps;
    const Counts into = {counts, steps, static_cast<double>(steps - 1)};
    std::memset(counts, 0, static_cast<size_t>(joint_counts(task)) * sizeof(int64_t));
    switch (task.pred.values) {
        case Values::uint8: count_all<uint8_t>(task, image, first, last, into); break;
        case Values::float32: count_all<float>(task, image, first, last, into); break;
        case Values::float64: count_all<double>(task, image, first, last, into); break;
    }
    for (int64_t i = of_a_way; i < ways * of_a_way; ++i) counts[i % of_a_way] += counts[i];
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
