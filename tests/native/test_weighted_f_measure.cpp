// test_weighted_f_measure SEED COUNT [FIRST]: weighted F of COUNT random pairs by every instruction set, against loops
// over all pixels.
#include <cmath>
#include <cstdio>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;

// One image.
UNWATCHED double expected(const Size& size, const uint8_t* pred, const uint8_t* gt, double low, double high) {
    const int64_t height = size.height, width = size.width, pixels = height * width;
    const bool constant = low == high;
    const auto error = [&](int64_t i) {
        const double value = constant ? pred[i] / 255.0 : (pred[i] / 255.0 - low / 255) / (high / 255 - low / 255);
        return std::fabs(value - gt[i]);
    };
    std::vector<double> seen(static_cast<size_t>(pixels)), distance(seen.size());
    std::vector<int64_t> some;
    for (int64_t x = 0; x < width; ++x)  // by columns: of equally near pixels the first counts
        for (int64_t y = 0; y < height; ++y)
            if (gt[y * width + x]) some.push_back(y * width + x);
    if (some.empty()) return 0;
    for (int64_t i = 0; i < pixels; ++i) {
        int64_t least = gt[i] ? 0 : INT64_MAX, nearest = i;
        for (const int64_t at : some) {
            if (gt[i]) break;
            const int64_t rows = at / width - i / width, columns = at % width - i % width;
            const int64_t square = rows * rows + columns * columns;
            if (square < least) least = square, nearest = at;
        }
        seen[static_cast<size_t>(i)] = error(nearest);
        distance[static_cast<size_t>(i)] = std::sqrt(static_cast<double>(least));
    }
    double gaussian[7], total = 0, missed = 0, wrong = 0;
    for (int k = -3; k <= 3; ++k) total += gaussian[k + 3] = std::exp(-k * k / 50.0);
    for (int64_t i = 0; i < pixels; ++i) {
        if (!gt[i]) {
            wrong += error(i) * (2 - std::exp(std::log(0.5) / 5 * distance[static_cast<size_t>(i)]));
            continue;
        }
        double blurred = 0;
        for (int64_t y = -3; y <= 3; ++y)
            for (int64_t x = -3; x <= 3; ++x) {
                const int64_t row = i / width + y, column = i % width + x;
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                blurred += gaussian[y + 3] * gaussian[x + 3] * seen[static_cast<size_t>(row * width + column)];
            }
        missed += std::fmin(error(i), blurred / (total * total));
    }
    const double foreground = static_cast<double>(some.size()), found = foreground - missed;
    const double recall = found / foreground, precision = found / (found + wrong + 1e-16);
    return 2 * recall * precision / (recall + precision + 1e-16);
}

template <typename P>
bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Size size = {random.between(1, 2), random_length(random) / 3 + 1, random_length(random) / 3 + 1};
    // More bands of rows than one; too wide for 32 bits.
    if (number % 32 == 5) size = {1, random.between(1600, 1700), random.between(60, 64)};
    const bool wide = number % 64 == 9;
    if (wide) size = {1, 1, random.between(33000, 33100)};
    const Images gt = random_images(random, size, size.pixels() > 10000 ? 0 : random_percent(random));
    const uint64_t wrong = random.one_of<uint64_t>({0, 1, 10, 100});
    const int64_t pixels = size.height * size.width;
    Bytes truth(static_cast<size_t>(pixels)), pred(truth.size());
    Guarded values(size.pixels() * static_cast<int64_t>(sizeof(P)), random.one_of({Guard::before, Guard::after}));
    std::vector<double> range, right;
    const double most = sizeof(P) == 1 ? 255 : 1;
    for (int64_t image = 0; image < size.batch; ++image) {
        copy(size, image, gt, false, truth.data());
        double low = 255, high = 0;
        for (int64_t i = 0; i < pixels; ++i) {
            const uint64_t bits = random.bits();
            const auto at = static_cast<size_t>(i);
            pred[at] = bits % 100 < wrong ? static_cast<uint8_t>(bits >> 32) : static_cast<uint8_t>(255 * truth[at]);
            low = std::fmin(low, pred[at]);
            high = std::fmax(high, pred[at]);
            reinterpret_cast<P*>(values.data())[image * pixels + i] = static_cast<P>(pred[at] * most / 255);
        }
        range.push_back(static_cast<P>(low * most / 255));
        range.push_back(static_cast<P>(high * most / 255));
        right.push_back(expected(size, pred.data(), truth.data(), low, high));
    }
    for (int set = 0; set <= best; ++set) {
        std::vector<double> scores(right.size(), -1);
        const Values type = sizeof(P) == 1 ? Values::uint8 : sizeof(P) == 4 ? Values::float32 : Values::float64;
        weighted_f_measure_cpu({{values.data(), type, pixels, size.width}, gt.masks(), range.data(), scores.data(),
                                size.batch, size.height, size.width, 1},
                               random.between(1, 3), set);
        for (size_t image = 0; image < right.size(); ++image) {
            if (std::fabs(scores[image] - right[image]) <= (sizeof(P) == 4 ? 1e-6 : 1e-12)) continue;
            std::printf("%s: weighted F %.17g instead of %.17g, %s, %d bytes a value\n", names[set], scores[image],
                        right[image], product(size).c_str(), static_cast<int>(sizeof(P)));
            return false;
        }
    }
    return true;
}

bool any_equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    const auto of_type = number % 3 == 0 ? equal<uint8_t> : number % 3 == 1 ? equal<float> : equal<double>;
    return of_type(seed, number, names, best);
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_weighted_f_measure", count, words, any_equal); }
