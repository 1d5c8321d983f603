// test_upsample_concat SEED COUNT [FIRST]: upsampling beside a skip connection, and its adjoint, of COUNT random maps by
// every instruction set, against loops in float64, and the same bits for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;

struct MapSize {
    int64_t batch, channels, height, width;
    int64_t numbers() const { return batch * channels * height * width; }
};

// A random map in memory of its own, side by side by columns or by channels.
struct RandomMap {
    MapSize size;
    FeatureMap map;
    std::unique_ptr<Guarded> memory;

    RandomMap(Random& random, const MapSize& size, bool last) : size(size) {
        const auto gap = [&] { return random.one_in(2) ? 0 : random.between(1, 9); };
        const int64_t column = last ? size.channels + gap() : 1, row = size.width * column + gap();
        const int64_t channel = last ? 1 : size.height * row + gap();
        const int64_t sample = last ? size.height * row : size.channels * channel;
        const int64_t held = 1 + (size.batch - 1) * sample + std::max<int64_t>(size.channels - 1, 0) * channel +
                             (size.height - 1) * row + (size.width - 1) * column;
        memory = std::make_unique<Guarded>(4 * held, random.one_of({Guard::before, Guard::after}));
        map = {reinterpret_cast<float*>(memory->data()), sample, channel, row, column};
    }

    float& at(int64_t b, int64_t c, int64_t y, int64_t x) const {
        return map.data[b * map.batch_stride + c * map.channel_stride + y * map.row_stride + x * map.column_stride];
    }
    float& at(int64_t i) const {
        const int64_t x = i % size.width, y = i / size.width % size.height, plane = i / size.width / size.height;
        return at(plane / size.channels, plane % size.channels, y, x);
    }

    void fill(Random& random) const {
        for (int64_t i = 0; i < size.numbers(); ++i) at(i) = static_cast<float>(random.between(-1000, 1000)) / 500;
    }
};

// The share of low number `of` in number x of `full`.
UNWATCHED double share(int64_t x, int64_t of, int64_t low, int64_t full) {
    const double place = (static_cast<double>(x) + 0.5) * static_cast<double>(low) / static_cast<double>(full) - 0.5;
    const double inside = std::min(std::max(place, 0.0), static_cast<double>(low - 1));
    return std::max(0.0, 1 - std::fabs(inside - static_cast<double>(of)));
}

struct Case {
    bool last;
    MapSize low, beside, full;

    UpsampleConcat task(const RandomMap& of_low, const RandomMap& of_full) const {
        UpsampleConcat made = {};
        made.low = of_low.map, made.full = of_full.map;
        made.batch = low.batch, made.channels = low.channels, made.skip_channels = full.channels - low.channels;
        made.height = low.height, made.width = low.width;
        made.full_height = full.height, made.full_width = full.width;
        made.channels_last = last;
        return made;
    }

    // Calls visit(low number, full number, share) for every share of a pixel in a pixel.
    template <typename Visit>
    UNWATCHED void for_each_share(const Visit& visit) const {
        for (int64_t plane = 0; plane < low.batch * low.channels; ++plane)
            for (int64_t y = 0; y < full.height; ++y)
                for (int64_t i = 0; i < low.height; ++i) {
                    const double of_row = share(y, i, low.height, full.height);
                    if (of_row == 0) continue;
                    for (int64_t x = 0; x < full.width; ++x)
                        for (int64_t j = 0; j < low.width; ++j) {
                            const double of_both = of_row * share(x, j, low.width, full.width);
                            const int64_t b = plane / low.channels, c = plane % low.channels;
                            const int64_t place = ((b * full.channels + c) * full.height + y) * full.width + x;
                            if (of_both > 0) visit((plane * low.height + i) * low.width + j, place, of_both);
                        }
                }
    }
};

bool near(const char* what, const RandomMap& found, const std::vector<double>& right, const std::vector<double>& sizes) {
    for (int64_t i = 0; i < found.size.numbers(); ++i) {
        const size_t place = static_cast<size_t>(i);
        const double value = static_cast<double>(found.at(i));
        if (std::fabs(value - right[place]) <= 1e-5 * sizes[place] + 5e-5) continue;
        std::printf("%s %lld is %g, expected %g\n", what, static_cast<long long>(i), value, right[place]);
        return false;
    }
    if (!found.memory->margin_is_intact()) return std::printf("%s: wrote outside its output\n", what), false;
    return true;
}

bool same(const RandomMap& one, const RandomMap& other) {
    for (int64_t i = 0; i < one.size.numbers(); ++i)
        if (std::memcmp(&one.at(i), &other.at(i), sizeof(float))) return false;
    return true;
}

bool forward_is_right(Random& random, const Case& given, int set) {
    const RandomMap low(random, given.low, given.last), beside(random, given.beside, given.last);
    low.fill(random), beside.fill(random);
    std::vector<double> right(static_cast<size_t>(given.full.numbers())), sizes(right.size());
    given.for_each_share([&](int64_t from, int64_t to, double share) {
        const double value = static_cast<double>(low.at(from));
        right[static_cast<size_t>(to)] += share * value, sizes[static_cast<size_t>(to)] += 2;
    });
    const MapSize& full = given.full;
    for (int64_t i = 0; i < given.beside.numbers(); ++i) {
        const int64_t pixels = full.height * full.width, b = i / pixels / given.beside.channels;
        const int64_t c = given.low.channels + i / pixels % given.beside.channels;
        right[static_cast<size_t>((b * full.channels + c) * pixels + i % pixels)] = static_cast<double>(beside.at(i));
    }
    const RandomMap found(random, full, given.last), again(random, full, given.last);
    UpsampleConcat task = given.task(low, found), other = given.task(low, again);
    if (task.skip_channels) task.skip = other.skip = beside.map;
    upsample_concat_cpu(task, 1, set);
    upsample_concat_cpu(other, random.between(2, 4), set);
    return near("result", found, right, sizes) && same(found, again);
}

bool backward_is_right(Random& random, const Case& given, int set) {
    const RandomMap full(random, given.full, given.last);
    full.fill(random);
    std::vector<double> right(static_cast<size_t>(given.low.numbers())), sizes(right.size());
    given.for_each_share([&](int64_t to, int64_t from, double share) {
        const double value = static_cast<double>(full.at(from));
        right[static_cast<size_t>(to)] += share * value, sizes[static_cast<size_t>(to)] += 2;
    });
    const RandomMap found(random, given.low, given.last), again(random, given.low, given.last);
    upsample_concat_backward_cpu(given.task(found, full), 1, set);
    upsample_concat_backward_cpu(given.task(again, full), random.between(2, 4), set);
    return near("gradient", found, right, sizes) && same(found, again);
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const int64_t most = random.one_in(20) ? 60 : 14;  // of the larger ones, two threads compute
    const auto side = [&] { return random.between(1, most); };
    const int64_t batch = random.between(1, 2), channels = random.one_in(3) ? 16 : random.between(1, 20);
    MapSize low = {batch, channels, side(), side()}, full = {batch, 0, side(), side()};
    if (random.one_in(2)) {
        const int64_t ratio = random.one_of<int64_t>({1, 2, 2, 4, 8});
        full.height = low.height * random.one_of<int64_t>({1, 2, ratio}), full.width = low.width * ratio;
    }
    const int64_t skip = random.one_in(4) ? 0 : random.between(1, 20);
    const MapSize beside = {batch, skip, full.height, full.width};
    full.channels = channels + skip;
    const Case given = {random.one_in(2), low, beside, full};
    for (int set = 0; set <= best; ++set) {
        if (forward_is_right(random, given, set) && backward_is_right(random, given, set)) continue;
        std::printf("%s: %s, %lld x %lld of %lld channels to %lld x %lld beside %lld\n", names[set],
                    given.last ? "channels last" : "contiguous", static_cast<long long>(low.height),
                    static_cast<long long>(low.width), static_cast<long long>(channels),
                    static_cast<long long>(full.height), static_cast<long long>(full.width),
                    static_cast<long long>(skip));
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_upsample_concat", count, words, equal); }
