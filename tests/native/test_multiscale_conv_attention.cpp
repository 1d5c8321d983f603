// test_multiscale_conv_attention SEED COUNT [FIRST]: the depthwise part and its gradients of COUNT random maps by every
// instruction set and the emulated GPU, against loops in float64, and the same bits for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "../../csrc/api.h"
#include "../../csrc/half.h"
#include "cases.h"
#include "emulation/cuda_runtime.h"
#include "images.h"

namespace {

using namespace dislayers;
using Doubles = std::vector<double>;

struct Plane {
    int64_t height, width;
    Doubles values;

    Plane(int64_t height, int64_t width, double all = 0)
        : height(height), width(width), values(static_cast<size_t>(height * width), all) {}
    bool has(int64_t y, int64_t x) const { return y >= 0 && x >= 0 && y < height && x < width; }
    double& at(int64_t y, int64_t x) { return values[static_cast<size_t>(y * width + x)]; }
    double at(int64_t y, int64_t x) const { return values[static_cast<size_t>(y * width + x)]; }
};

// A convolution of one channel: its kernel, and after that its bias, among the parameters.
struct Convolution {
    int64_t height, width, place;

    template <typename Visit>
    UNWATCHED void for_each_product(const Plane& in, const Visit& visit) const {
        for (int64_t y = 0; y < in.height; ++y)
            for (int64_t x = 0; x < in.width; ++x)
                for (int64_t j = 0; j < height; ++j)
                    for (int64_t i = 0; i < width; ++i) {
                        const int64_t from_y = y + j - height / 2, from_x = x + i - width / 2;
                        if (in.has(from_y, from_x)) visit(y, x, from_y, from_x, place + j * width + i);
                    }
    }

    UNWATCHED Plane of(const Plane& in, const double* parameters) const {
        Plane out(in.height, in.width, parameters[place + height * width]);
        for_each_product(in, [&](int64_t y, int64_t x, int64_t from_y, int64_t from_x, int64_t parameter) {
            out.at(y, x) += parameters[parameter] * in.at(from_y, from_x);
        });
        return out;
    }

    // The gradient of the input; adds those of the parameters.
    UNWATCHED Plane gradient(const Plane& of_out, const Plane& in, const double* parameters, double* of_all) const {
        Plane of_in(in.height, in.width);
        for_each_product(in, [&](int64_t y, int64_t x, int64_t from_y, int64_t from_x, int64_t parameter) {
            of_in.at(from_y, from_x) += parameters[parameter] * of_out.at(y, x);
            of_all[parameter] += in.at(from_y, from_x) * of_out.at(y, x);
        });
        for (const double value : of_out.values) of_all[place + height * width] += value;
        return of_in;
    }
};

void add(Plane& sum, const Plane& other) {
    for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += other.values[i];
}

float rounded(float number, Precision precision) {
    BFloat16 bfloat16;
    Float16 float16;
    if (precision == Precision::bfloat16) return assign(bfloat16, number), as_float(bfloat16);
    if (precision == Precision::float16) return assign(float16, number), as_float(float16);
    return number;
}

// A random map in memory of its own, side by side by columns or by channels.
struct RandomMap {
    int64_t batch, channels, height, width;
    FeatureMap map;
    std::unique_ptr<Guarded> memory;

    RandomMap(Random& random, int64_t batch, int64_t channels, int64_t height, int64_t width)
        : batch(batch), channels(channels), height(height), width(width) {
        const auto gap = [&] { return random.one_in(2) ? 0 : random.between(1, 9); };
        const bool last = random.one_in(2);
        const int64_t column = last ? channels + gap() : 1, row = width * column + gap();
        const int64_t channel = last ? 1 : height * row + gap(), sample = last ? height * row : channels * channel;
        const int64_t held =
            1 + (batch - 1) * sample + (channels - 1) * channel + (height - 1) * row + (width - 1) * column;
        memory = std::make_unique<Guarded>(4 * held, random.one_of({Guard::before, Guard::after}));
        map = {reinterpret_cast<float*>(memory->data()), sample, channel, row, column};
    }

    float& at(int64_t b, int64_t c, int64_t y, int64_t x) const {
        return map.data[b * map.batch_stride + c * map.channel_stride + y * map.row_stride + x * map.column_stride];
    }

    Plane plane(int64_t b, int64_t c, bool absolute) const {
        Plane copy(height, width);
        for (int64_t y = 0; y < height; ++y)
            for (int64_t x = 0; x < width; ++x) {
                const double value = static_cast<double>(at(b, c, y, x));
                copy.at(y, x) = absolute ? std::fabs(value) : value;
            }
        return copy;
    }

    // visit(number, its sample and channel as one, row, column)
    template <typename Visit>
    void for_each(const Visit& visit) const {
        for (int64_t i = 0; i < batch * channels * height * width; ++i) {
            const int64_t plane = i / width / height, y = i / width % height, x = i % width;
            visit(at(plane / channels, plane % channels, y, x), plane, y, x);
        }
    }

    void fill(Random& random, Precision precision) const {
        for_each([&](float& number, int64_t, int64_t, int64_t) {
            number = rounded(static_cast<float>(random.between(-1000, 1000)) / 500, precision);
        });
    }
};

// A random map in memory of the GPU.
struct DeviceMap {
    Precision precision;
    GpuMap map;
    std::unique_ptr<Guarded> memory;

    DeviceMap(Random& random, const RandomMap& like, Precision precision) : precision(precision) {
        const auto gap = [&] { return random.one_in(2) ? 0 : random.between(1, 9); };
        const int64_t row = like.width + gap(), channel = like.height * row + gap(), sample = like.channels * channel;
        const int64_t held = 1 + (like.batch - 1) * sample + (like.channels - 1) * channel + (like.height - 1) * row +
                             like.width - 1;
        memory = std::make_unique<Guarded>((precision == Precision::float32 ? 4 : 2) * held,
                                           random.one_of({Guard::before, Guard::after}));
        map = {memory->data(), sample, channel, row};
    }

    // visit(number here, number there)
    template <typename Visit>
    void beside(const RandomMap& other, const Visit& visit) const {
        other.for_each([&](float& number, int64_t plane, int64_t y, int64_t x) {
            const int64_t i = plane / other.channels * map.batch_stride + plane % other.channels * map.channel_stride +
                              y * map.row_stride + x;
            if (precision == Precision::float32) visit(static_cast<float*>(map.data)[i], number);
            if (precision == Precision::bfloat16) visit(static_cast<BFloat16*>(map.data)[i], number);
            if (precision == Precision::float16) visit(static_cast<Float16*>(map.data)[i], number);
        });
    }

    void take(const RandomMap& other) const {
        beside(other, [](auto& here, float there) { assign(here, there); });
        memory->forbid_writes();
    }

    void give(const RandomMap& other) const {
        beside(other, [](const auto& here, float& there) { there = as_float(here); });
    }
};

// What one channel of a sample should give.
struct Right {
    Plane s, of_x;
    Doubles of_parameters;
};

struct Case {
    int64_t batch, channels, height, width, size;
    std::vector<int64_t> strips;
    bool for_gpu;
    Precision precision;  // of what the numbers of x and its gradient are
    RandomMap x, gradient;
    int64_t count;  // parameters of a channel
    std::vector<float> parameters;

    Case(Random& random, bool for_gpu, int64_t batch, int64_t channels, int64_t height, int64_t width)
        : batch(batch), channels(channels), height(height), width(width), size(2 * random.between(0, 3) + 1),
          for_gpu(for_gpu),
          precision(random.one_of({Precision::float32, Precision::bfloat16, Precision::float16})),
          x(random, batch, channels, height, width), gradient(random, batch, channels, height, width) {
        for (int64_t i = random.between(0, 3); i > 0; --i) strips.push_back(2 * random.between(0, 12) + 1);
        if (for_gpu) {
            size = gpu_kernel_sizes[0];
            strips.assign(std::begin(gpu_kernel_sizes) + 1, std::end(gpu_kernel_sizes));
        }
        count = size * size + 1;
        for (const int64_t strip : strips) count += 2 * (strip + 1);
        x.fill(random, precision);
        gradient.fill(random, precision);
        for (int64_t i = 0; i < channels * count; ++i)
            parameters.push_back(static_cast<float>(random.between(-1000, 1000)) / 2000);
    }

    MultiscaleDepthwise task(const RandomMap& out, float* parameter_gradients) const {
        return {x.map, gradient.map, out.map, parameters.data(), parameter_gradients, size, strips.data(),
                static_cast<int64_t>(strips.size()), batch, channels, height, width};
    }

    // Of the numbers, or of their sizes: that bounds what is added up anywhere.
    UNWATCHED Right right(int64_t b, int64_t c, bool absolute) const {
        Doubles numbers(parameters.begin() + c * count, parameters.begin() + (c + 1) * count);
        if (absolute)
            for (double& number : numbers) number = std::fabs(number);
        const double* const own = numbers.data();
        const Plane in = x.plane(b, c, absolute), incoming = gradient.plane(b, c, absolute);
        const Convolution square = {size, size, 0};
        const Plane a = square.of(in, own);
        Plane s = a, of_a = incoming;
        Doubles of_parameters(static_cast<size_t>(count));
        int64_t place = size * size + 1;
        for (const int64_t strip : strips) {
            const Convolution row = {1, strip, place}, column = {strip, 1, place + strip + 1};
            const Plane between = row.of(a, own);
            add(s, column.of(between, own));
            const Plane of_between = column.gradient(incoming, between, own, of_parameters.data());
            add(of_a, row.gradient(of_between, a, own, of_parameters.data()));
            place += 2 * (strip + 1);
        }
        return {s, square.gradient(of_a, in, own, of_parameters.data()), of_parameters};
    }
};

// How far a rounded number is from the number, at most, for its size; 2^-25 is half of the least that float16 has.
double half_a_step(Precision precision) {
    return precision == Precision::float32 ? 0 : std::ldexp(1, precision == Precision::bfloat16 ? -8 : -11);
}

bool near(const char* what, double actual, double right, double size, Precision precision) {
    const double slack = precision == Precision::float32 ? 0 : 0x1p-25;
    if (std::fabs(actual - right) <= 2e-6 * size + half_a_step(precision) * std::fabs(right) + slack) return true;
    std::printf("%s: %.9g, expected %.9g\n", what, actual, right);
    return false;
}

bool near(const char* what, const RandomMap& actual, int64_t b, int64_t c, const Plane& right, const Plane& sizes,
          Precision precision) {
    for (int64_t y = 0; y < right.height; ++y)
        for (int64_t x = 0; x < right.width; ++x)
            if (!near(what, static_cast<double>(actual.at(b, c, y, x)), right.at(y, x), sizes.at(y, x), precision))
                return false;
    return true;
}

struct Found {
    RandomMap s, of_x;
    std::vector<float> of_parameters;

    Found(Random& random, const Case& given)
        : s(random, given.batch, given.channels, given.height, given.width),
          of_x(random, given.batch, given.channels, given.height, given.width),
          of_parameters(given.parameters.size(), NAN) {}

    Found(Random& random, const Case& given, int64_t threads, int set) : Found(random, given) {
        multiscale_depthwise_cpu(given.task(s, nullptr), threads, set);
        multiscale_depthwise_backward_cpu(given.task(of_x, of_parameters.data()), threads, set);
    }

    // By a GPU whose blocks have so many threads.
    static Found on_gpu(Random& random, const Case& given, unsigned threads) {
        Found found(random, given);
        const auto room = [&] { return DeviceMap(random, given.x, given.precision); };
        const DeviceMap x = room(), gradient = room(), s = room(), of_x = room();
        x.take(given.x), gradient.take(given.gradient);
        const int64_t quanta = (given.width + gpu_quantum - 1) / gpu_quantum;
        const int64_t tiles = ((given.width - 1) / gpu_tile + 1) * ((given.height - 1) / gpu_tile + 1);
        const Guarded of_a(4 * given.batch * given.channels * given.height * quanta * gpu_quantum, Guard::after);
        const Guarded partials(4 * given.batch * tiles * given.channels * given.count, Guard::after);
        emulation::threads_per_block = threads;
        GpuDepthwise task = {given.precision, x.map, {}, s.map, given.parameters.data(), nullptr, nullptr, nullptr,
                             given.batch, given.channels, given.height, given.width};
        const char* error = multiscale_depthwise_cuda(task, nullptr);
        task.gradient = gradient.map, task.out = of_x.map;
        task.parameter_gradients = found.of_parameters.data();
        task.of_a = reinterpret_cast<float*>(of_a.data()), task.partials = reinterpret_cast<float*>(partials.data());
        if (!error) error = multiscale_depthwise_backward_cuda(task, nullptr);
        if (error) std::printf("GPU: %s\n", error);
        s.give(found.s), of_x.give(found.of_x);
        const bool intact = s.memory->margin_is_intact() && of_x.memory->margin_is_intact();
        if (!intact) std::printf("GPU: wrote outside its output\n"), found.of_parameters[0] = NAN;
        return found;
    }

    bool is(const Found& other) const {
        for (int64_t b = 0; b < s.batch; ++b)
            for (int64_t c = 0; c < s.channels; ++c)
                if (s.plane(b, c, false).values != other.s.plane(b, c, false).values ||
                    of_x.plane(b, c, false).values != other.of_x.plane(b, c, false).values)
                    return false;
        return of_parameters == other.of_parameters;
    }

    bool near_to(const std::vector<Right>& rights, const std::vector<Right>& sizes, Precision precision) const {
        Doubles expected(of_parameters.size()), bounds(of_parameters.size());
        const size_t count = rights[0].of_parameters.size();
        for (int64_t b = 0; b < s.batch; ++b)
            for (int64_t c = 0; c < s.channels; ++c) {
                const size_t place = static_cast<size_t>(b * s.channels + c), first = static_cast<size_t>(c) * count;
                const Right &right = rights[place], &size = sizes[place];
                if (!near("s", s, b, c, right.s, size.s, precision)) return false;
                if (!near("gradient of x", of_x, b, c, right.of_x, size.of_x, precision)) return false;
                for (size_t i = 0; i < count; ++i) {
                    expected[first + i] += right.of_parameters[i];
                    bounds[first + i] += size.of_parameters[i];
                }
            }
        for (size_t i = 0; i < expected.size(); ++i)
            if (!near("gradient of a parameter", static_cast<double>(of_parameters[i]), expected[i], bounds[i],
                      Precision::float32))
                return false;
        return s.memory->margin_is_intact() && of_x.memory->margin_is_intact();
    }
};

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const bool for_gpu = random.one_in(5);
    const int64_t some = random.one_in(3) ? 16 : random.between(1, 20), few = random.between(1, 3);
    const int64_t batch = random.between(1, 2), channels = for_gpu ? few : some;
    const int64_t numbers = random.one_in(20) ? 1 << 15 : 2500;  // of so many, two threads compute
    const int64_t most = numbers / (batch * channels), width = std::min(random_length(random), most);
    const int64_t height = std::min(random_length(random), std::max<int64_t>(1, most / width));
    const bool tall = random.one_in(2);
    const Case given(random, for_gpu, batch, channels, tall ? width : height, tall ? height : width);
    std::vector<Right> rights, sizes;
    for (int64_t i = 0; i < batch * channels; ++i) {
        rights.push_back(given.right(i / channels, i % channels, false));
        sizes.push_back(given.right(i / channels, i % channels, true));
    }
    const auto holds = [&](const char* name, Precision precision, const Found& found, const Found& again) {
        const bool same = found.is(again);
        if (same && found.near_to(rights, sizes, precision)) return true;
        std::printf("%s: %lld x %lld x %lld x %lld%s, kernels of %lld", name, static_cast<long long>(batch),
                    static_cast<long long>(channels), static_cast<long long>(given.height),
                    static_cast<long long>(given.width), same ? "" : " with other numbers of threads",
                    static_cast<long long>(given.size));
        for (const int64_t strip : given.strips) std::printf(", %lld", static_cast<long long>(strip));
        std::printf("\n");
        return false;
    };
    for (int set = 0; set <= best; ++set) {
        const Found found(random, given, 1, set), again(random, given, random.between(2, 4), set);
        if (!holds(names[set], Precision::float32, found, again)) return false;
    }
    if (!for_gpu) return true;
    const unsigned threads = random.one_of({1u, 3u, 16u});
    return holds("GPU", given.precision, Found::on_gpu(random, given, 16), Found::on_gpu(random, given, threads));
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_multiscale_conv_attention", count, words, equal); }
