// test_laplacian_boundary SEED COUNT [FIRST]: the loss and its gradient of COUNT random planes by every instruction set,
// against the definition in float64, and the same bits for any number of threads.
#include <cmath>
#include <cstdio>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;
using Numbers = std::vector<double>;

// A plane of float64 with zeros around it.
struct Plane {
    int64_t height, width;
    Numbers values;

    double at(int64_t y, int64_t x) const {
        return y < 0 || x < 0 || y >= height || x >= width ? 0 : values[static_cast<size_t>(y * width + x)];
    }

    Plane convolved(bool cross) const {
        Plane result = *this;
        for (int64_t y = 0; y < height; ++y)
            for (int64_t x = 0; x < width; ++x) {
                double sum = 0;
                for (int64_t j = -1; j <= 1; ++j)
                    for (int64_t i = -1; i <= 1; ++i)
                        if (!cross || !i || !j) sum += at(y, x) - at(y + j, x + i);
                result.values[static_cast<size_t>(y * width + x)] = sum;
            }
        return result;
    }
};

double edge(double convolved, bool absolute) {
    return absolute ? std::fabs(std::tanh(convolved)) : std::fmax(std::tanh(convolved), 0);
}

// A number, and how far float32 may be from it: the logarithm and the slope have poles where an edge vanishes.
struct Doubtful {
    double value, doubt;
};

// The sum of a plane's losses; its gradient times `scale`.
UNWATCHED Doubtful expected(const Plane& values, const Plane& target, const Boundary& how, double scale,
                            Doubtful* gradient) {
    Plane p = values;
    if (how.logits)
        for (double& x : p.values) x = 1 / (1 + std::exp(-x));
    const Plane found = p.convolved(how.cross), wanted = target.convolved(how.cross);
    Plane slope = p, doubts = p;
    Doubtful sum = {0, 1e-3};
    for (size_t i = 0; i < p.values.size(); ++i) {
        const double c = found.values[i], d = edge(c, how.absolute), t = edge(wanted.values[i], how.absolute);
        const double q = std::fmin(std::fmax(d, 1e-7), 1 - 1e-7);
        sum.value -= t * std::log(q) + (1 - t) * std::log1p(-q);
        sum.doubt += t * 1e-6 / q;
        doubts.values[i] = 1e-5 + (d > 0 ? t / q * (1e-5 + 2e-6 / q) : 0);
        slope.values[i] = q == d ? (c < 0 ? -1 : 1) * (1 + d) * (1 - t / d) : 0;
    }
    slope = slope.convolved(how.cross);
    for (int64_t y = 0; y < p.height; ++y)
        for (int64_t x = 0; x < p.width; ++x) {
            double sum_of_doubts = 7 * doubts.at(y, x);
            for (int64_t k = 0; k < 9; ++k) sum_of_doubts += doubts.at(y + k / 3 - 1, x + k % 3 - 1);
            const double by_value = how.logits ? p.at(y, x) * (1 - p.at(y, x)) : 1;
            *gradient++ = {slope.at(y, x) * scale * by_value, sum_of_doubts * std::fabs(scale)};
        }
    return sum;
}

bool near(const char* what, double actual, const Doubtful& right) {
    if (std::fabs(actual - right.value) <= 1e-5 * std::fabs(right.value) + right.doubt) return true;
    std::printf("%s: %.9g, expected %.9g\n", what, actual, right.value);
    return false;
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const int64_t planes = random.between(1, 3), height = random.between(1, 150), width = random.between(1, 80);
    const int64_t stride = width + random.between(0, 5), count = planes * height * width;
    const int64_t held = (planes * height - 1) * stride + width;
    const bool hard = random.between(0, 1);
    std::vector<float> values(static_cast<size_t>(held)), soft(values.size()), scales(static_cast<size_t>(planes));
    Bytes labels(values.size());
    const bool logits = random.between(0, 1);
    for (size_t i = 0; i < values.size(); ++i) {
        const float x = static_cast<float>(random.between(-8000, 8000)) / 1000;
        values[i] = logits ? x : static_cast<float>(random.between(0, 1024)) / 1024;
        labels[i] = static_cast<uint8_t>(random.between(0, 1));
        soft[i] = static_cast<float>(random.between(0, 1000)) / 1000;
    }
    for (float& scale : scales) scale = static_cast<float>(random.between(-1000, 1000)) / 1000;
    const void* target = hard ? static_cast<const void*>(labels.data()) : soft.data();
    const Boundary boundary = {{values.data(), Values::float32, height * stride, stride},
                               {target, hard ? Values::uint8 : Values::float32, height * stride, stride},
                               planes, height, width, logits, random.between(0, 1) == 1, random.between(0, 1) == 1};
    std::vector<Doubtful> sums(static_cast<size_t>(planes)), gradients(static_cast<size_t>(count));
    for (int64_t plane = 0; plane < planes; ++plane) {
        Plane of_values = {height, width, {}}, of_target = {height, width, {}};
        for (int64_t i = 0; i < height * width; ++i) {
            const size_t place = static_cast<size_t>((plane * height + i / width) * stride + i % width);
            of_values.values.push_back(static_cast<double>(values[place]));
            of_target.values.push_back(hard ? labels[place] : static_cast<double>(soft[place]));
        }
        sums[static_cast<size_t>(plane)] =
            expected(of_values, of_target, boundary, static_cast<double>(scales[static_cast<size_t>(plane)]),
                     gradients.data() + plane * height * width);
    }
    for (int set = 0; set <= best; ++set) {
        Numbers losses(sums.size(), NAN), again(losses);
        std::vector<float> gradient(gradients.size(), NAN), by_threads(gradient);
        laplacian_boundary_cpu({boundary, losses.data()}, 1, set);
        laplacian_boundary_cpu({boundary, again.data()}, random.between(2, 3), set);
        laplacian_boundary_backward_cpu({boundary, scales.data(), gradient.data()}, 1, set);
        laplacian_boundary_backward_cpu({boundary, scales.data(), by_threads.data()}, random.between(2, 3), set);
        bool right = losses == again && gradient == by_threads;
        if (!right) std::printf("not the same for any number of threads\n");
        for (size_t i = 0; right && i < sums.size(); ++i) right = near("loss", losses[i], sums[i]);
        for (size_t i = 0; right && i < gradients.size(); ++i)
            right = near("gradient", static_cast<double>(gradient[i]), gradients[i]);
        if (right) continue;
        std::printf("%s: %lld planes of %lld x %lld, row stride %lld, %s, %s, %s, %s target\n", names[set],
                    static_cast<long long>(planes), static_cast<long long>(height), static_cast<long long>(width),
                    static_cast<long long>(stride), logits ? "logits" : "probabilities",
                    boundary.absolute ? "abs" : "relu", boundary.cross ? "cross" : "8", hard ? "hard" : "soft");
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_laplacian_boundary", count, words, equal); }
