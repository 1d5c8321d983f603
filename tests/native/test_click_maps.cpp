// test_click_maps SEED COUNT [FIRST]: maps of COUNT random sets of clicks by every instruction set and any number of
// threads, against a loop over pixels and clicks; disks must be equal.
#include <cmath>
#include <cstdio>
#include <vector>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;
using Floats = std::vector<float>;

constexpr float factors[] = {1, 21, 174};

float coordinate(Random& random, int64_t length) {
    if (random.one_in(40)) return random.one_in(2) ? NAN : -INFINITY;
    if (random.one_in(10)) return INFINITY;
    return static_cast<float>(random.between(-4 * 8, 4 * (length + 8))) / 4;
}

// In the order of roundings that the official code has; volatile keeps a multiply-add out.
UNWATCHED float squared_distance(float row, float column, const float* click) {
    const float down = row - click[0], across = column - click[1];
    const volatile float squared_down = down * down, squared_across = across * across;
    return squared_down + squared_across;
}

UNWATCHED double expected(const ClickMaps& task, int64_t map, int64_t row, int64_t column) {
    float least = INFINITY;
    for (int64_t i = 0; i < task.count; ++i) {
        const float squared = squared_distance(static_cast<float>(row), static_cast<float>(column),
                                               task.points + 2 * (map * task.count + i));
        if (squared < least || std::isnan(squared)) least = squared;
        if (std::isnan(least)) break;
    }
    const double radius = task.radius;
    if (task.encoding == ClickEncoding::disk) return least <= task.squared_reach;
    if (task.encoding == ClickEncoding::distance) return std::tanh(2 * std::sqrt(static_cast<double>(least)) / radius);
    return std::exp(-static_cast<double>(least) / (2 * radius * radius));
}

bool close(ClickEncoding encoding, float actual, double right) {
    if (std::isnan(right)) return std::isnan(actual);
    return std::fabs(actual - right) <= (encoding == ClickEncoding::disk ? 0 : 4e-7);
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const int64_t maps = random.between(1, 4), height = random_length(random);
    const int64_t width = random.one_in(8) ? random.between(255, 520) : random_length(random);
    const int64_t count = random.between(0, 6);
    Floats points;
    for (int64_t i = 0; i < maps * count; ++i) {
        points.push_back(coordinate(random, height));
        points.push_back(coordinate(random, width));
    }
    ClickMaps task = {points.data(), count, nullptr, maps, height, width, {}, 0, 0};
    task.encoding = static_cast<ClickEncoding>(random.between(0, 2));
    task.radius = static_cast<float>(random.one_of({0.25, 1.0, 2.5, 5.0, 60.0}));
    task.squared_reach = factors[static_cast<int>(task.encoding)] * task.radius * task.radius;
    for (int set = 0; set <= best; ++set) {
        Floats out(static_cast<size_t>(maps * height * width), -1.0f);
        task.out = out.data();
        click_maps_cpu(task, random.between(1, 3), set);
        for (int64_t i = 0; i < maps * height * width; ++i) {
            const int64_t map = i / (height * width), row = i / width % height, column = i % width;
            const double right = expected(task, map, row, column);
            if (close(task.encoding, out[static_cast<size_t>(i)], right)) continue;
            std::printf("%s: encoding %d at map %lld, row %lld, column %lld: %.9g, expected %.9g\n", names[set],
                        static_cast<int>(task.encoding), static_cast<long long>(map), static_cast<long long>(row),
                        static_cast<long long>(column), static_cast<double>(out[static_cast<size_t>(i)]), right);
            return false;
        }
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_click_maps", count, words, equal); }
