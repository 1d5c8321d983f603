// test_depthwise_gelu SEED COUNT [FIRST]: GELU and its derivative at random numbers, and the GELU of a depthwise
// convolution and its gradients of COUNT random maps by every instruction set, against loops in float64, and the same
// bits for any number of threads and for a sample alone.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "../../csrc/api.h"
#include "../../csrc/gelu.simd.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;
using Doubles = std::vector<double>;

double exact_gelu(double a) { return a * 0.5 * std::erfc(-a / std::sqrt(2.0)); }

double exact_derivative(double a) {
    return 0.5 * std::erfc(-a / std::sqrt(2.0)) + a * std::exp(-0.5 * a * a) / std::sqrt(2 * std::acos(-1.0));
}

bool formulas_are_right_at(float a) {
    const double right = exact_gelu(static_cast<double>(a)), slope = exact_derivative(static_cast<double>(a));
    const double rounding = std::ldexp(1.0, -24), error = std::fabs(static_cast<double>(gelu(a)) - right);
    const bool relative = a < -10 || error <= 1e-5 * std::fabs(right);
    if (error <= 3 * rounding * std::fabs(static_cast<double>(a)) && relative &&
        std::fabs(static_cast<double>(gelu_derivative(a)) - slope) <= 3 * rounding)
        return true;
    std::printf("gelu(%.9g) is %.9g, not %.9g, or its derivative %.9g, not %.9g\n", static_cast<double>(a),
                static_cast<double>(gelu(a)), right, static_cast<double>(gelu_derivative(a)), slope);
    return false;
}

bool formulas_are_right(Random& random) {
    for (int i = 0; i < 200; ++i)
        if (!formulas_are_right_at(static_cast<float>(random.between(-20000000, 20000000)) * 1e-6f)) return false;
    return gelu(0) == 0 && gelu(1e38f) == 1e38f && gelu(HUGE_VALF) == HUGE_VALF && std::isnan(gelu(NAN)) &&
           gelu_derivative(0) == 0.5f && gelu_derivative(1e38f) == 1 && std::isnan(gelu_derivative(NAN));
}

struct MapSize {
    int64_t batch, channels, height, width;
    int64_t numbers() const { return batch * channels * height * width; }
    bool has(int64_t y, int64_t x) const { return y >= 0 && x >= 0 && y < height && x < width; }
    size_t place(int64_t b, int64_t c, int64_t y, int64_t x) const {
        return static_cast<size_t>(((b * channels + c) * height + y) * width + x);
    }
};

// A random map in memory of its own, side by side by columns or by channels.
struct RandomMap {
    MapSize size;
    FeatureMap map;
    std::unique_ptr<Guarded> memory;

    RandomMap(Random& random, const MapSize& size) : size(size) {
        const auto gap = [&] { return random.one_in(2) ? 0 : random.between(1, 9); };
        const bool last = random.one_in(2);
        const int64_t column = last ? size.channels + gap() : 1, row = size.width * column + gap();
        const int64_t channel = last ? 1 : size.height * row + gap();
        const int64_t sample = last ? size.height * row : size.channels * channel;
        const int64_t held = 1 + (size.batch - 1) * sample + (size.channels - 1) * channel +
                             (size.height - 1) * row + (size.width - 1) * column;
        memory = std::make_unique<Guarded>(4 * held, random.one_of({Guard::before, Guard::after}));
        map = {reinterpret_cast<float*>(memory->data()), sample, channel, row, column};
        for (int64_t i = 0; i < size.numbers(); ++i) at(i) = static_cast<float>(random.between(-1000, 1000)) / 500;
    }

    float& at(int64_t i) const {
        const int64_t x = i % size.width, y = i / size.width % size.height, plane = i / size.width / size.height;
        return map.data[plane / size.channels * map.batch_stride + plane % size.channels * map.channel_stride +
                        y * map.row_stride + x * map.column_stride];
    }
};

struct Results {
    Doubles out, of_x, of_weight, of_bias;
};

struct Case {
    MapSize size;
    RandomMap x, gradient;
    std::vector<float> weight, bias;

    Case(Random& random, const MapSize& size) : size(size), x(random, size), gradient(random, size) {
        for (int64_t i = 0; i < size.channels * 9; ++i) weight.push_back(0.002f * random.between(-300, 300));
        for (int64_t i = 0; i < size.channels; ++i) bias.push_back(0.002f * random.between(-300, 300));
    }

    DepthwiseGelu task(const RandomMap& out) const {
        return {x.map, {}, out.map, weight.data(), bias.data(), nullptr, nullptr, size.batch, size.channels,
                size.height, size.width};
    }

    // visit(place of the output, of the input, of the weight)
    template <typename Visit>
    UNWATCHED void for_each_product(const Visit& visit) const {
        for (int64_t b = 0; b < size.batch; ++b)
            for (int64_t c = 0; c < size.channels; ++c)
                for (int64_t y = 0; y < size.height; ++y)
                    for (int64_t x = 0; x < size.width; ++x)
                        for (int64_t t = 0; t < 9; ++t)
                            if (size.has(y + t / 3 - 1, x + t % 3 - 1))
                                visit(size.place(b, c, y, x), size.place(b, c, y + t / 3 - 1, x + t % 3 - 1),
                                      static_cast<size_t>(c * 9 + t));
    }

    Doubles numbers(const RandomMap& map) const {
        Doubles all(static_cast<size_t>(size.numbers()));
        for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<double>(map.at(static_cast<int64_t>(i)));
        return all;
    }

    UNWATCHED Results right() const {
        const Doubles in = numbers(x), incoming = numbers(gradient);
        Doubles a(in.size());
        const int64_t pixels = size.height * size.width;
        const auto channel = [&](size_t i) { return static_cast<int64_t>(i) / pixels % size.channels; };
        for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<double>(bias[static_cast<size_t>(channel(i))]);
        for_each_product([&](size_t to, size_t from, size_t tap) {
            a[to] += in[from] * static_cast<double>(weight[tap]);
        });
        Results all = {Doubles(a.size()), Doubles(a.size()), Doubles(weight.size()), Doubles(bias.size())};
        Doubles of_a(a.size());
        for (size_t i = 0; i < a.size(); ++i) {
            all.out[i] = exact_gelu(a[i]), of_a[i] = incoming[i] * exact_derivative(a[i]);
            all.of_bias[static_cast<size_t>(channel(i))] += of_a[i];
        }
        for_each_product([&](size_t to, size_t from, size_t tap) {
            all.of_x[from] += of_a[to] * static_cast<double>(weight[tap]);
            all.of_weight[tap] += of_a[to] * in[from];
        });
        return all;
    }
};

struct Found {
    RandomMap out, of_x;
    std::vector<float> of_weight, of_bias;

    Found(Random& random, const Case& given, int64_t threads, int set)
        : out(random, given.size), of_x(random, given.size), of_weight(given.weight.size(), NAN),
          of_bias(given.bias.size(), NAN) {
        depthwise_gelu_cpu(given.task(out), threads, set);
        DepthwiseGelu task = given.task(of_x);
        task.gradient = given.gradient.map;
        task.weight_gradient = of_weight.data(), task.bias_gradient = of_bias.data();
        depthwise_gelu_backward_cpu(task, threads, set);
    }

    bool is(const Found& other) const {
        for (int64_t i = 0; i < out.size.numbers(); ++i)
            if (std::memcmp(&out.at(i), &other.out.at(i), 4) || std::memcmp(&of_x.at(i), &other.of_x.at(i), 4))
                return false;
        return of_weight == other.of_weight && of_bias == other.of_bias;
    }

    // Whether the last sample alone gives the same.
    bool holds_alone(Random& random, const Case& given, int set) const {
        Case alone = {random, {1, given.size.channels, given.size.height, given.size.width}};
        const int64_t last = given.size.numbers() - alone.size.numbers();
        alone.weight = given.weight, alone.bias = given.bias;
        for (int64_t i = 0; i < alone.size.numbers(); ++i)
            alone.x.at(i) = given.x.at(last + i), alone.gradient.at(i) = given.gradient.at(last + i);
        const Found found(random, alone, 1, set);
        for (int64_t i = 0; i < alone.size.numbers(); ++i)
            if (found.out.at(i) != out.at(last + i) || found.of_x.at(i) != of_x.at(last + i)) return false;
        return true;
    }

    bool near_to(const Results& right, double pixels) const {
        const auto near = [](const char* what, double found, double value, double tolerance) {
            if (std::fabs(found - value) <= tolerance) return true;
            std::printf("%s is %g, expected %g\n", what, found, value);
            return false;
        };
        for (int64_t i = 0; i < out.size.numbers(); ++i) {
            const size_t place = static_cast<size_t>(i);
            if (!near("a number", static_cast<double>(out.at(i)), right.out[place], 1e-5)) return false;
            if (!near("gradient of x", static_cast<double>(of_x.at(i)), right.of_x[place], 2e-5)) return false;
        }
        for (size_t i = 0; i < of_weight.size(); ++i)
            if (!near("gradient of a weight", static_cast<double>(of_weight[i]), right.of_weight[i], 1e-6 * pixels))
                return false;
        for (size_t i = 0; i < of_bias.size(); ++i)
            if (!near("gradient of a bias", static_cast<double>(of_bias[i]), right.of_bias[i], 1e-6 * pixels))
                return false;
        return (out.memory->margin_is_intact() && of_x.memory->margin_is_intact()) ||
               (std::printf("wrote outside its output\n"), false);
    }
};

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    if (!formulas_are_right(random)) return false;
    const int64_t batch = random.between(1, 3), channels = random.one_in(3) ? 16 : random.between(1, 40);
    const int64_t numbers = random.one_in(10) ? 1 << 16 : 4000;  // of so many, two threads compute
    const int64_t most = std::max<int64_t>(1, numbers / (batch * channels));
    const int64_t width = std::min(random_length(random), most);
    const int64_t height = std::min(random_length(random), std::max<int64_t>(1, most / width));
    const bool tall = random.one_in(2);
    const Case given(random, {batch, channels, tall ? width : height, tall ? height : width});
    const Results right = given.right();
    for (int set = 0; set <= best; ++set) {
        const Found found(random, given, 1, set), again(random, given, random.between(2, 4), set);
        const bool same = found.is(again), alone = found.holds_alone(random, given, set);
        if (same && alone && found.near_to(right, static_cast<double>(batch * height * width) + 10)) continue;
        std::printf("%s: %lld x %lld x %lld x %lld%s%s\n", names[set], static_cast<long long>(batch),
                    static_cast<long long>(channels), static_cast<long long>(given.size.height),
                    static_cast<long long>(given.size.width), same ? "" : " with other numbers of threads",
                    alone ? "" : " alone");
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_depthwise_gelu", count, words, equal); }
