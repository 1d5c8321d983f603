// test_joint_histogram SEED COUNT [FIRST]: COUNT random joint histograms by every instruction set, against a loop.
#include <cmath>
#include <cstdio>
#include <limits>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;
using Counts = std::vector<int64_t>;

struct Case {
    Size size;
    Images pred, gt;
    Values values;
    int64_t bins;
};

UNWATCHED void fill_levels(Random& random, uint8_t* levels, int64_t count) {
    const int64_t saturated = random.one_of<int64_t>({1, 2, 100});
    for (int64_t i = 0; i < count; ++i)
        levels[i] = static_cast<uint8_t>(random.one_in(saturated) ? random.one_of({0, 255}) : random.between(0, 255));
}

template <typename Real>
UNWATCHED void fill_reals(Random& random, Real* reals, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        double value = static_cast<double>(random.bits() >> 11) * 0x1p-53;
        if (random.one_in(4)) value = random.one_of({0.0, 1.0});
        if (random.one_in(20)) value = random.one_of({-0.5, 1.5, std::numeric_limits<double>::quiet_NaN(), HUGE_VAL});
        reals[i] = static_cast<Real>(value);
    }
}

// Strides in values; rows and images may overlap as in expanded tensors.
Images random_values(Random& random, const Size& size, Values values) {
    Images images;
    images.stride_row = random.one_of({size.width, size.width + random.between(1, 40), int64_t(0)});
    const int64_t image = (size.height - 1) * images.stride_row + size.width;
    images.stride_batch = random.one_of({image, image + random.between(0, 40), int64_t(0)});
    const int64_t count = (size.batch - 1) * images.stride_batch + image;
    const int64_t bytes = values == Values::uint8 ? 1 : values == Values::float32 ? 4 : 8;
    images.memory = std::make_unique<Guarded>(count * bytes, random.one_of({Guard::before, Guard::after}));
    void* memory = images.memory->data();
    if (values == Values::uint8) fill_levels(random, static_cast<uint8_t*>(memory), count);
    if (values == Values::float32) fill_reals(random, static_cast<float*>(memory), count);
    if (values == Values::float64) fill_reals(random, static_cast<double*>(memory), count);
    images.memory->forbid_writes();
    return images;
}

Case random_case(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Case one;
    one.size = {random.between(1, 3), random_length(random), random_length(random)};
    // Work enough for several threads.
    if (number % 64 == 8) one.size = {1, random.between(1000, 1100), 1100};
    one.values = random.one_of({Values::uint8, Values::uint8, Values::float32, Values::float64});
    one.bins = random.one_of<int64_t>({256, 256, 1, 2, 19, 300});
    one.pred = random_values(random, one.size, one.values);
    one.gt = random_images(random, one.size, random_percent(random));
    return one;
}

UNWATCHED int64_t bin_of(const Case& one, int64_t i) {
    const void* memory = one.pred.memory->data();
    if (one.values == Values::uint8) return static_cast<const uint8_t*>(memory)[i] * one.bins / 256;
    const double value = one.values == Values::float32 ? static_cast<double>(static_cast<const float*>(memory)[i])
                                                       : static_cast<const double*>(memory)[i];
    const double inside = std::isnan(value) || value < 0 ? 0 : value > 1 ? 1 : value;
    return static_cast<int64_t>(inside * static_cast<double>(one.bins - 1));
}

UNWATCHED Counts expected(const Case& one) {
    const auto& [batch, height, width] = one.size;
    Counts counts(static_cast<size_t>(batch * 2 * one.bins));
    for (int64_t image = 0; image < batch; ++image)
        for (int64_t y = 0; y < height; ++y)
            for (int64_t x = 0; x < width; ++x) {
                const int64_t in_gt = image * one.gt.stride_batch + y * one.gt.stride_row + x;
                const int64_t in_pred = image * one.pred.stride_batch + y * one.pred.stride_row + x;
                const int64_t truth = one.gt.memory->data()[in_gt] != 0;
                ++counts[static_cast<size_t>((2 * image + truth) * one.bins + bin_of(one, in_pred))];
            }
    return counts;
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    const Case one = random_case(seed, number);
    const Counts right = expected(one);
    for (int set = 0; set <= best; ++set) {
        Counts counts(right.size(), -1);
        const Predictions pred = {one.pred.memory->data(), one.values, one.pred.stride_batch, one.pred.stride_row};
        const auto& [batch, height, width] = one.size;
        joint_histogram_cpu({pred, one.gt.masks(), counts.data(), batch, height, width, one.bins},
                            1 + number % 3, set);
        if (counts == right) continue;
        std::printf("%s: joint histogram of %s in %lld bins\n", names[set], product(one.size).c_str(),
                    static_cast<long long>(one.bins));
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_joint_histogram", count, words, equal); }
