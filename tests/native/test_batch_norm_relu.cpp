// test_batch_norm_relu SEED COUNT [FIRST]: normalisation, ReLU, residual and pooling of COUNT random maps, and their
// gradients, by every instruction set, against loops in float64; the same bits for any number of threads, and from the
// statistics alone.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;

struct Shape {
    int64_t batch, channels, height, width;

    Shape pooled() const { return {batch, channels, (height + 1) / 2, (width + 1) / 2}; }
    int64_t count() const { return batch * channels * height * width; }
};

// A map in memory of its own, with gaps or without.
struct Map {
    Shape shape;
    std::unique_ptr<Guarded> memory;
    FeatureMap map;

    Map(Random& random, Shape shape, bool channels_last) : shape(shape) {
        const bool dense = random.one_in(2);
        const auto gap = [&] { return dense || random.one_in(2) ? 0 : random.between(1, 9); };
        const int64_t column = channels_last ? shape.channels + gap() : 1, row = shape.width * column + gap();
        const int64_t channel = channels_last ? 1 : shape.height * row + gap();
        const int64_t sample = channels_last ? shape.height * row + gap() : shape.channels * channel;
        const int64_t held = 1 + (shape.batch - 1) * sample + (shape.channels - 1) * channel +
                             (shape.height - 1) * row + (shape.width - 1) * column;
        memory = std::make_unique<Guarded>(4 * held, random.one_of({Guard::before, Guard::after}));
        map = {reinterpret_cast<float*>(memory->data()), sample, channel, row, column};
    }

    float& at(int64_t b, int64_t c, int64_t y, int64_t x) const {
        return map.data[b * map.batch_stride + c * map.channel_stride + y * map.row_stride + x * map.column_stride];
    }

    template <typename Visit>
    UNWATCHED void for_each(const Visit& visit) const {
        for (int64_t b = 0; b < shape.batch; ++b)
            for (int64_t c = 0; c < shape.channels; ++c)
                for (int64_t y = 0; y < shape.height; ++y)
                    for (int64_t x = 0; x < shape.width; ++x) visit(b, c, y, x);
    }

    // Few different numbers, so that windows tie.
    UNWATCHED void fill(Random& random) const {
        const int64_t most = random.one_of({2, 1000});
        for_each([&](int64_t b, int64_t c, int64_t y, int64_t x) {
            at(b, c, y, x) = static_cast<float>(random.between(-most, most)) / static_cast<float>(most);
        });
    }

    UNWATCHED bool is(const Map& other) const {
        bool same = true;
        for_each([&](int64_t b, int64_t c, int64_t y, int64_t x) {
            same = same && at(b, c, y, x) == other.at(b, c, y, x);
        });
        return same && memory->margin_is_intact();
    }
};

bool near(const char* what, double actual, double right, double tolerance) {
    if (std::fabs(actual - right) <= tolerance) return true;
    std::printf("%s: %.9g, expected %.9g\n", what, actual, right);
    return false;
}

struct Case {
    Shape shape;
    bool last, residual_there, pool, d_out_there;
    double eps;
    Map x, residual, d_out, d_pooled;
    std::vector<float> weight, bias;

    Case(Random& random, Shape shape)
        : shape(shape), last(random.one_in(2)), residual_there(random.one_in(2)), pool(random.one_in(2)),
          d_out_there(!pool || random.one_in(2)), eps(random.one_of({1e-5, 0.5})), x(random, shape, last),
          residual(random, shape, last), d_out(random, shape, last), d_pooled(random, shape.pooled(), last) {
        for (const Map* map : {&x, &residual, &d_out, &d_pooled}) map->fill(random);
        // A mean far from 0 costs no digits.
        const float apart = random.one_of({0.0f, 64.0f});
        x.for_each([&](int64_t b, int64_t c, int64_t y, int64_t column) { x.at(b, c, y, column) += apart; });
        for (int64_t c = 0; c < shape.channels; ++c) {
            weight.push_back(static_cast<float>(random.between(-8, 8)) / 4);
            bias.push_back(static_cast<float>(random.between(-8, 8)) / 8);
        }
    }

    BatchNormRelu task() const {
        BatchNormRelu task = {};
        task.x = x.map;
        if (residual_there) task.residual = residual.map;
        task.weight = weight.data(), task.bias = bias.data();
        task.eps = eps;
        task.batch = shape.batch, task.channels = shape.channels, task.height = shape.height, task.width = shape.width;
        task.channels_last = last;
        return task;
    }
};

// What an instruction set gives.
struct Results {
    const Case& given;
    Map out, pooled, d_x, d_residual;
    std::vector<float> mean, variance, d_weight, d_bias;

    Results(Random& random, const Case& given, int64_t threads, int set)
        : given(given), out(random, given.shape, given.last), pooled(random, given.shape.pooled(), given.last),
          d_x(random, given.shape, given.last), d_residual(random, given.shape, given.last) {
        for (auto* vector : {&mean, &variance, &d_weight, &d_bias})
            vector->assign(static_cast<size_t>(given.shape.channels), NAN);
        BatchNormRelu task = given.task();
        task.mean = mean.data(), task.variance = variance.data();
        task.d_weight = d_weight.data(), task.d_bias = d_bias.data();
        BatchNormRelu forward = task, backward = task;
        forward.out = out.map;
        if (given.pool) forward.pooled = pooled.map, backward.d_pooled = given.d_pooled.map;
        if (given.d_out_there) backward.d_out = given.d_out.map;
        backward.d_x = d_x.map;
        if (given.residual_there && given.pool) backward.d_residual = d_residual.map;
        if (!given.pool) backward.residual.data = nullptr;
        batch_norm_relu_cpu(forward, threads, set);
        batch_norm_relu_backward_cpu(backward, threads, set);
    }

    bool is(const Results& other) const {
        return out.is(other.out) && d_x.is(other.d_x) && (!given.pool || pooled.is(other.pooled)) &&
               (!given.pool || !given.residual_there || d_residual.is(other.d_residual)) && mean == other.mean &&
               variance == other.variance && d_weight == other.d_weight && d_bias == other.d_bias;
    }

    // Whether the second pass alone gives the same.
    bool again(Random& random, int64_t threads, int set) const {
        BatchNormRelu task = given.task();
        std::vector<float> means = mean, variances = variance;
        task.mean = means.data(), task.variance = variances.data();
        const Map map(random, given.pool ? given.shape.pooled() : given.shape, given.last);
        (given.pool ? task.pooled : task.out) = map.map;
        normalize_relu_cpu(task, threads, set);
        return map.is(given.pool ? pooled : out);
    }

    // The gradient at the map: windows give theirs to their first maximum of what was written.
    double incoming(int64_t b, int64_t c, int64_t y, int64_t x) const {
        double sum = given.d_out_there ? static_cast<double>(given.d_out.at(b, c, y, x)) : 0;
        if (!given.pool) return sum;
        int64_t row = y / 2 * 2, column = x / 2 * 2;
        for (int64_t j = y / 2 * 2; j < std::min(y / 2 * 2 + 2, given.shape.height); ++j)
            for (int64_t i = x / 2 * 2; i < std::min(x / 2 * 2 + 2, given.shape.width); ++i)
                if (out.at(b, c, j, i) > out.at(b, c, row, column)) row = j, column = i;
        return row == y && column == x ? sum + static_cast<double>(given.d_pooled.at(b, c, y / 2, x / 2)) : sum;
    }

    template <typename Visit>
    UNWATCHED void for_each_of_channel(const Visit& visit) const {
        for (int64_t b = 0; b < given.shape.batch; ++b)
            for (int64_t y = 0; y < given.shape.height; ++y)
                for (int64_t x = 0; x < given.shape.width; ++x) visit(b, y, x);
    }

    UNWATCHED bool channel_is_right(int64_t c) const {
        const size_t place = static_cast<size_t>(c);
        const double count = static_cast<double>(given.shape.count() / given.shape.channels);
        double sum = 0, squares = 0, of_bias = 0, of_scale = 0, size = 0;
        for_each_of_channel([&](int64_t b, int64_t y, int64_t x) { sum += given.x.at(b, c, y, x); });
        const double exact = sum / count;
        for_each_of_channel([&](int64_t b, int64_t y, int64_t x) {
            squares += (given.x.at(b, c, y, x) - exact) * (given.x.at(b, c, y, x) - exact);
        });
        const double spread = squares / count;
        if (!near("mean", mean[place], exact, 1e-7 * std::fabs(exact) + 1e-6)) return false;
        if (!near("variance", variance[place], spread, 1e-5 * spread + 1e-7)) return false;
        // From here on with the statistics that were written.
        const double m = mean[place], reciprocal = 1 / std::sqrt(variance[place] + given.eps);
        const double scale = given.weight[place] * reciprocal;
        const auto centred = [&](int64_t b, int64_t y, int64_t x) { return given.x.at(b, c, y, x) - m; };
        const auto affine = [&](int64_t b, int64_t y, int64_t x) {
            return centred(b, y, x) * scale + given.bias[place];
        };
        const double bound = 1e-6 * (1 + std::fabs(scale) * 4);
        bool right = true;
        double unsure = 0;  // gradients where rounding chose whether the ReLU lets x through
        for_each_of_channel([&](int64_t b, int64_t y, int64_t x) {
            const double value = affine(b, y, x);
            const double expected = std::max(value, 0.0) + (given.residual_there ? given.residual.at(b, c, y, x) : 0);
            right = right && near("out", out.at(b, c, y, x), expected, bound);
            const double gradient = incoming(b, c, y, x);
            if (given.pool && given.residual_there)
                right = right && near("gradient of residual", d_residual.at(b, c, y, x), gradient, 1e-6);
            if (std::fabs(value) < bound) unsure += std::fabs(gradient);
            size += std::fabs(gradient);
            if (value <= 0) return;
            of_bias += gradient;
            of_scale += gradient * centred(b, y, x);
        });
        const double wide = 4 * (1e-6 * size + unsure);
        if (!right || !near("gradient of bias", d_bias[place], of_bias, wide)) return false;
        if (!near("gradient of weight", d_weight[place], of_scale * reciprocal, wide * reciprocal)) return false;
        for_each_of_channel([&](int64_t b, int64_t y, int64_t x) {
            const double apart = centred(b, y, x), gradient = affine(b, y, x) > 0 ? incoming(b, c, y, x) : 0;
            const double shared = (of_bias + apart * of_scale * reciprocal * reciprocal) / count;
            const double free = std::fabs(affine(b, y, x)) < bound ? std::fabs(incoming(b, c, y, x)) : 0;
            const double loose = free + 1e-5 * (std::fabs(gradient) + std::fabs(shared)) +
                                 wide * (1 + std::fabs(apart) * reciprocal * reciprocal) / count;
            right = right && near("gradient of x", d_x.at(b, c, y, x), scale * (gradient - shared),
                                  std::fabs(scale) * loose + 1e-6);
        });
        return right;
    }

    UNWATCHED bool pooled_is_right() const {
        bool right = true;
        pooled.for_each([&](int64_t b, int64_t c, int64_t y, int64_t x) {
            float most = -INFINITY;
            for (int64_t j = 2 * y; j < std::min(2 * y + 2, given.shape.height); ++j)
                for (int64_t i = 2 * x; i < std::min(2 * x + 2, given.shape.width); ++i)
                    most = std::max(most, out.at(b, c, j, i));
            right = right && near("pooled", pooled.at(b, c, y, x), most, 0);
        });
        return right;
    }

    bool are_right() const {
        for (int64_t c = 0; c < given.shape.channels; ++c)
            if (!channel_is_right(c)) return false;
        return (!given.pool || pooled_is_right()) && out.memory->margin_is_intact() && d_x.memory->margin_is_intact();
    }
};

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const int64_t batch = random.between(1, 2), channels = random.one_of({1, 3, 16, 17, 64, 101});
    const int64_t numbers = random.one_in(20) ? 1 << 18 : 12000;  // of so many, two threads compute
    const int64_t most = std::max<int64_t>(numbers / (batch * channels), 2);
    const int64_t width = std::min(random_length(random), most);
    const int64_t height = random.one_in(8) ? most / width : std::min(random_length(random), most / width);
    const bool tall = random.one_in(2);
    const Case given(random, {batch, channels, tall ? width : height, tall ? height : width});
    for (int set = 0; set <= best; ++set) {
        const Results found(random, given, 1, set), again(random, given, random.between(2, 4), set);
        const bool same = found.is(again), alone = found.again(random, random.between(1, 3), set);
        if (same && alone && found.are_right()) continue;
        std::printf("%s: %lld x %lld x %lld x %lld, channels last %d, residual %d, pool %d, d_out %d%s%s\n", names[set],
                    static_cast<long long>(batch), static_cast<long long>(channels),
                    static_cast<long long>(given.shape.height), static_cast<long long>(given.shape.width), given.last,
                    given.residual_there, given.pool, given.d_out_there, same ? "" : ", with other numbers of threads",
                    alone ? "" : ", from the statistics alone");
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_batch_norm_relu", count, words, equal); }
