// test_patch_threshold SEED COUNT [FIRST]: COUNT random maps of patches by every instruction set, against a loop.
#include <cmath>
#include <cstdio>
#include <limits>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;

struct Case {
    Size size;
    int64_t side;
    Images probability, truth;
    Values values;
    bool nearest_half, both_classes, literal;
};

struct Found {
    std::vector<float> threshold, iou;
    Bytes mask;
    bool operator==(const Found& other) const {
        return threshold == other.threshold && iou == other.iou && mask == other.mask;
    }
};

Found room(const Case& one) {
    const auto patches = static_cast<size_t>(one.size.pixels() / (one.side * one.side));
    const auto pixels = static_cast<size_t>(one.size.pixels());
    return {std::vector<float>(patches, -1), std::vector<float>(patches, -1), Bytes(pixels, 7)};
}

template <typename Real>
UNWATCHED void fill_reals(Random& random, Real* reals, int64_t count) {
    const int64_t rarity = random.one_of<int64_t>({1, 2, 100});
    for (int64_t i = 0; i < count; ++i) {
        double value = static_cast<double>(random.bits() >> 11) * 0x1p-53;
        if (random.one_in(rarity)) value = static_cast<double>(random.between(0, 20)) / 20;
        if (random.one_in(20)) value = random.one_of({-0.5, 1.5, std::numeric_limits<double>::quiet_NaN(), HUGE_VAL});
        reals[i] = static_cast<Real>(value);
        if (random.one_in(4)) reals[i] = std::nextafter(reals[i], static_cast<Real>(random.between(0, 1)));
    }
}

// Strides in values; rows and images may overlap as in expanded tensors.
Images random_values(Random& random, const Size& size, Values values) {
    if (values == Values::uint8) return random_images(random, size, random_percent(random));
    Images images;
    images.stride_row = random.one_of({size.width, size.width + random.between(1, 40), int64_t(0)});
    const int64_t image = (size.height - 1) * images.stride_row + size.width;
    images.stride_batch = random.one_of({image, image + random.between(0, 40), int64_t(0)});
    const int64_t count = (size.batch - 1) * images.stride_batch + image;
    const bool single = values == Values::float32;
    images.memory = std::make_unique<Guarded>(count * (single ? 4 : 8), random.one_of({Guard::before, Guard::after}));
    if (single) fill_reals(random, reinterpret_cast<float*>(images.memory->data()), count);
    else fill_reals(random, reinterpret_cast<double*>(images.memory->data()), count);
    images.memory->forbid_writes();
    return images;
}

Case random_case(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Case one;
    one.side = random.one_of<int64_t>({1, 2, 7, 16, 33, 64});
    one.size = {random.between(1, 3), one.side * random.between(1, 3), one.side * random.between(1, 3)};
    // Work enough for several threads.
    if (number % 64 == 8) one.size = {3, 512, 512}, one.side = 64;
    one.values = random.one_of({Values::uint8, Values::float32, Values::float64});
    one.probability = random_values(random, one.size, one.values);
    one.truth = random_images(random, one.size, random_percent(random));
    one.nearest_half = random.one_in(2);
    one.both_classes = random.one_in(2);
    one.literal = random.one_in(2);
    return one;
}

UNWATCHED double value_at(const Case& one, int64_t image, int64_t y, int64_t x) {
    const int64_t i = image * one.probability.stride_batch + y * one.probability.stride_row + x;
    const uint8_t* memory = one.probability.memory->data();
    if (one.values == Values::uint8) return memory[i] / 255.0;
    if (one.values == Values::float64) return reinterpret_cast<const double*>(memory)[i];
    return static_cast<double>(reinterpret_cast<const float*>(memory)[i]);
}

UNWATCHED double score(const Case& one, int64_t image, int64_t top, int64_t left, double threshold) {
    double counts[2][2] = {};  // by truth and finding
    for (int64_t y = top; y < top + one.side; ++y)
        for (int64_t x = left; x < left + one.side; ++x) {
            const int64_t i = image * one.truth.stride_batch + y * one.truth.stride_row + x;
            counts[one.truth.memory->data()[i] != 0][value_at(one, image, y, x) > threshold] += 1;
        }
    const double wrong = counts[0][1] + counts[1][0], of_one = counts[1][1] + wrong, of_zero = counts[0][0] + wrong;
    const double foreground = of_one > 0 ? counts[1][1] / of_one : 1;
    const double background = of_zero > 0 ? counts[0][0] / of_zero : 1;
    return one.both_classes ? (foreground + background) / 2 : foreground;
}

UNWATCHED Found expected(const Case& one) {
    const auto& [batch, height, width] = one.size;
    Found found = room(one);
    size_t patch = 0;
    for (int64_t image = 0; image < batch; ++image)
        for (int64_t top = 0; top < height; top += one.side)
            for (int64_t left = 0; left < width; left += one.side, ++patch) {
                int best = 0;
                double highest = -1;
                for (int k = 1; k < 20; ++k) {
                    const double reached = score(one, image, top, left, k / 20.0);
                    const bool nearer = one.nearest_half && std::abs(k - 10) < std::abs(best - 10);
                    if (reached > highest || (reached == highest && nearer)) highest = reached, best = k;
                }
                const double threshold = (best - one.literal) / 20.0;
                found.threshold[patch] = static_cast<float>(threshold);
                found.iou[patch] = static_cast<float>(highest);
                for (int64_t y = top; y < top + one.side; ++y)
                    for (int64_t x = left; x < left + one.side; ++x)
                        found.mask[static_cast<size_t>((image * height + y) * width + x)] =
                            value_at(one, image, y, x) > threshold;
            }
    return found;
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    const Case one = random_case(seed, number);
    const Found right = expected(one);
    for (int set = 0; set <= best; ++set) {
        Found found = room(one);
        const Predictions probability = {one.probability.memory->data(), one.values, one.probability.stride_batch,
                                         one.probability.stride_row};
        const auto& [batch, height, width] = one.size;
        patch_threshold_cpu({probability, one.truth.masks(), found.threshold.data(), found.iou.data(),
                             found.mask.data(), batch, height, width, one.side, one.nearest_half, one.both_classes,
                             one.literal},
                            1 + number % 3, set);
        if (found == right) continue;
        std::printf("%s: thresholds of %s in patches of %lld\n", names[set], product(one.size).c_str(),
                    static_cast<long long>(one.side));
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_patch_threshold", count, words, equal); }
