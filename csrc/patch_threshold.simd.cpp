// Codes of all pixels of a row of patches, how often each occurs in a patch, and the patch above a threshold. Codes wait
// in the output.
#if defined(__GNUC__) && !defined(__clang__)
// Where GCC 12 makes a vector of one pixel's comparisons it adds them up as -1, not 1; vectors of pixels are right.
#pragma GCC optimize("no-tree-slp-vectorize")
#endif

#include "patch_threshold.h"

#include <string.h>

#include "instruction_set.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Counts of a code, several: pixels of one code in a row would wait for each other.
constexpr int ways = 8;
using Ways = CodeCounts[ways];

uint8_t* codes_of(const PatchThresholds& task, const Patch& patch, int64_t row) {
    return task.mask + (patch.image * task.height + patch.top + row) * task.width + patch.left;
}

// `Lane` is an integer of the size of a value, so that both fill equally many vectors.
template <typename Lane, typename Value>
void encode_row(const Value* values, const uint8_t* truths, int64_t count, const Value* all, uint8_t* codes) {
    Value levels[Levels::count];
    memcpy(levels, all, sizeof levels);
    for (int64_t i = 0; i < count; ++i) {
        Lane exceeded = 0;
#pragma GCC unroll 20
        for (int k = 0; k < Levels::count; ++k) exceeded = static_cast<Lane>(exceeded + (values[i] > levels[k]));
        codes[i] = static_cast<uint8_t>(2 * exceeded + (truths[i] != 0));
    }
}

void count_row(const uint8_t* codes, int64_t count, Ways& counts) {
    const int64_t whole = count / ways * ways;
    for (int64_t i = 0; i < whole; i += ways)
        for (int way = 0; way < ways; ++way) ++counts[way].of[codes[i + way]];
    for (int64_t i = whole; i < count; ++i) ++counts[i - whole].of[codes[i]];
}

template <typename Lane, typename Value>
void encode(const PatchThresholds& task, int64_t image, int64_t top, const Value* levels) {
    for (int64_t row = top; row < top + task.side; ++row)
        encode_row<Lane>(row_of<Value>(task.probability, image, row), row_of(task.truth, image, row), task.width,
                         levels, task.mask + (image * task.height + row) * task.width);
}

}  // namespace

// The codes of the patches whose first row is `top` go into the mask.
void encode_patches(const PatchThresholds& task, int64_t image, int64_t top, const Levels& levels) {
    switch (task.probability.values) {
        case Values::uint8: return encode<uint8_t>(task, image, top, levels.of_uint8);
        case Values::float32: return encode<int32_t>(task, image, top, levels.of_float32);
        case Values::float64: return encode<int64_t>(task, image, top, levels.of_float64);
    }
}

void count_codes(const PatchThresholds& task, const Patch& patch, CodeCounts& total) {
    Ways counts = {};
    for (int64_t row = 0; row < task.side; ++row) count_row(codes_of(task, patch, row), task.side, counts);
    total = {};
    for (const CodeCounts& way : counts)
        for (int code = 0; code < CodeCounts::codes; ++code) total.of[code] += way.of[code];
}

// Codes in the mask become whether they are at least `least`.
void decode_patch(const PatchThresholds& task, const Patch& patch, uint8_t least) {
    for (int64_t row = 0; row < task.side; ++row) {
        uint8_t* codes = codes_of(task, patch, row);
        for (int64_t i = 0; i < task.side; ++i) codes[i] = codes[i] >= least;
    }
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
