// Rows of one image, packed 64 pixels a word, all iterations while they are in the cache.
#include "morphology.h"

#include <cstring>

#include "instruction_set.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// As many words as one register holds, and the same moved by one word: b after a.
#if defined(__AVX512F__)
using Vector = uint64_t __attribute__((vector_size(64)));
Vector word_before(Vector a, Vector b) { return (Vector)_mm512_maskz_alignr_epi64(0xff, (__m512i)b, (__m512i)a, 7); }
Vector word_after(Vector a, Vector b) { return (Vector)_mm512_maskz_alignr_epi64(0xff, (__m512i)b, (__m512i)a, 1); }
#elif defined(__AVX2__)
using Vector = uint64_t __attribute__((vector_size(32)));
__m256i middle(Vector a, Vector b) { return _mm256_permute2x128_si256((__m256i)a, (__m256i)b, 0x21); }
Vector word_before(Vector a, Vector b) { return (Vector)_mm256_alignr_epi8((__m256i)b, middle(a, b), 8); }
Vector word_after(Vector a, Vector b) { return (Vector)_mm256_alignr_epi8(middle(a, b), (__m256i)a, 8); }
#else
using Vector = uint64_t;
Vector word_before(Vector a, Vector) { return a; }
Vector word_after(Vector, Vector b) { return b; }
#endif
constexpr int64_t vector_words = sizeof(Vector) / sizeof(uint64_t);

// A long geodesic dilation stops once nothing changes.
constexpr int64_t iterations_between_looks = 32;

uint64_t pack(const uint8_t* pixels) {
#if defined(__AVX512BW__)
    const __m512i bytes = _mm512_loadu_si512(pixels);
    return _mm512_test_epi8_mask(bytes, bytes);
#elif defined(__AVX2__)
    const auto zeros = [&](int half) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels) + half);
        return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())));
    };
    return ~(zeros(0) | static_cast<uint64_t>(zeros(1)) << 32);
#else
    uint64_t word = 0;
    for (int i = 0; i < 16; ++i) {
        uint32_t bytes;
        std::memcpy(&bytes, pixels + 4 * i, 4);
        word |= static_cast<uint64_t>(gather(bytes)) << (4 * i);
    }
    return word;
#endif
}

void unpack(uint64_t word, uint8_t* pixels) {
#if defined(__AVX512BW__)
    _mm512_storeu_si512(pixels, _mm512_maskz_set1_epi8(word, 1));
#elif defined(__AVX2__)
    const __m256i byte_of_pixel = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of_pixel = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    for (int half = 0; half < 2; ++half) {
        const __m256i bits = _mm256_set1_epi32(static_cast<int>(word >> (32 * half)));
        const __m256i one_bit = _mm256_and_si256(_mm256_shuffle_epi8(bits, byte_of_pixel), bit_of_pixel);
        const __m256i pixel = _mm256_min_epu8(one_bit, _mm256_set1_epi8(1));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(pixels) + half, pixel);
    }
#else
    for (int i = 0; i < 16; ++i) {
        const uint32_t bytes = spread(static_cast<uint32_t>(word >> (4 * i)));
        std::memcpy(pixels + 4 * i, &bytes, 4);
    }
#endif
}

// Fewer than 64 pixels, through a copy: reading or writing beyond a row could leave the tensor.
uint64_t pack_rest(const uint8_t* pixels, int64_t count) {
    alignas(64) uint8_t copy[64] = {};
    std::memcpy(copy, pixels, static_cast<size_t>(count));
    return pack(copy);
}

void unpack_rest(uint64_t word, uint8_t* pixels, int64_t count) {
    alignas(64) uint8_t copy[64];
    unpack(word, copy);
    std::memcpy(pixels, copy, static_cast<size_t>(count));
}

void fill(uint64_t* words, int64_t count, uint64_t value) {
    for (int64_t i = 0; i < count; ++i) words[i] = value;
}

void pack_row(const uint8_t* pixels, int64_t width, uint64_t flip, uint64_t* words, int64_t stride) {
    const int64_t whole = width / 64, rest = width % 64;
    for (int64_t i = 0; i < whole; ++i) words[i] = pack(pixels + 64 * i) ^ flip;
    fill(words + whole, stride - whole, 0);
    if (rest) words[whole] = (pack_rest(pixels + 64 * whole, rest) ^ flip) & low_bits<uint64_t>(rest);
}

void unpack_row(const uint64_t* words, int64_t width, uint64_t flip, uint8_t* pixels) {
    const int64_t whole = width / 64, rest = width % 64;
    for (int64_t i = 0; i < whole; ++i) unpack(words[i] ^ flip, pixels + 64 * i);
    if (rest) unpack_rest(words[whole] ^ flip, pixels + 64 * whole, rest);
}

Vector load(const uint64_t* words) { return *reinterpret_cast<const Vector*>(words); }

// A row of `stride` words. `within` is zero wherever a word is no part of the image, so a step clears what it spilled.
void dilate_row(const uint64_t* now, const uint64_t* within, uint64_t* next, int64_t stride, int reach) {
    Vector previous{}, centre = load(now);
    for (int64_t i = 0; i < stride; i += vector_words) {
        const Vector following = i + vector_words < stride ? load(now + i + vector_words) : Vector{};
        const Vector grown = dilated(centre, load(now + i - reach * stride), load(now + i + reach * stride),
                                     word_before(previous, centre), word_after(centre, following), reach, 64);
        *reinterpret_cast<Vector*>(next + i) = grown & load(within + i);
        previous = centre;
        centre = following;
    }
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

    // Rows of zeros above and below: the image's edge, or a halo that is already spent.
    const int64_t zeros = most_reach * stride;
    uint64_t* now = workspace + zeros;
    uint64_t* next = now + words;
    uint64_t* within = next + words;
    for (int i = 0; i < 2; ++i) {
        fill(workspace + i * words, zeros, 0);
        fill(workspace + i * words + zeros + count, zeros, 0);
    }

    const uint8_t* mask = task.mask + image * task.mask_stride_batch;
    for (int64_t row = halo_first; row < halo_last; ++row) {
        uint64_t* packed = now + (row - halo_first) * stride;
        pack_row(mask + row * task.mask_stride_row, task.width, flip, packed, stride);
        if (task.within) {
            const uint8_t* only = task.within + image * task.within_stride_batch + row * task.within_stride_row;
            pack_row(only, task.width, 0, within + (row - halo_first) * stride, stride);
        }
    }
    // Without `within`, one row says for all which bits are part of the image.
    const int64_t within_stride = task.within ? stride : 0;
    for (int64_t i = 0; i < stride && !task.within; ++i) within[i] = low_bits<uint64_t>(task.width - 64 * i);

    int64_t looked = 0;
    for (int64_t done = 0; done < task.iterations;) {
        const int reach = next_reach(done, task.iterations - done, task.within);
        for (int64_t row = 0; row < halo_last - halo_first; ++row)
            dilate_row(now + row * stride, within + row * within_stride, next + row * stride, stride, reach);
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
