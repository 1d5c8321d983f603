// test_distance_transform SEED COUNT [FIRST]: COUNT random masks, from case FIRST on, by every instruction set of this
// processor, against a loop over the columns of each pixel's row.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "../../csrc/api.h"
#include "../../csrc/instruction_set.h"
#include "guarded.h"
#include "random.h"

// Only an oracle and no memory that threads share: ThreadSanitizer would make it the slowest part.
#define UNWATCHED __attribute__((no_sanitize("thread")))

namespace {

using namespace dislayers;

struct Case {
    DistanceTransform task;
    std::unique_ptr<Guarded> mask;
    int64_t threads;
    bool indices;
};

struct Pixel {
    int64_t row, column;
};

struct Expected {
    std::vector<float> distance;
    std::vector<int64_t> index;
};

int64_t random_length(Random& random) {
    return random.one_in(3) ? random.one_of<int64_t>({1, 2, 15, 16, 17, 31, 33, 64, 255, 257, 260}) : random.between(1, 60);
}

UNWATCHED Case random_case(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Case one = {};
    DistanceTransform& task = one.task;
    task.batch = random.between(1, 3);
    task.height = random_length(random);
    task.width = random_length(random);
    // Many bands of rows; too wide for 32 bits.
    const bool many_bands = number % 32 == 5, wide = number % 64 == 9;
    if (many_bands) task.batch = 1, task.height = random.between(1500, 1700), task.width = random.between(60, 70);
    if (wide) task.batch = 1, task.height = 1, task.width = random.between(46400, 46600);
    task.mask.stride_row = task.width + random.one_of<int64_t>({0, 0, 1, 13});
    const int64_t image = (task.height - 1) * task.mask.stride_row + task.width;
    task.mask.stride_batch = random.one_of<int64_t>({image, image + 7, 0});
    const int64_t bytes = (task.batch - 1) * task.mask.stride_batch + image;
    one.mask = std::make_unique<Guarded>(bytes, random.one_of({Guard::before, Guard::after}));
    const uint64_t of_a_thousand = random.one_of<uint64_t>({0, 1, 10, 100, 500, 900, 1000});
    for (int64_t i = 0; i < bytes; ++i) {
        const uint64_t bits = random.bits();
        const bool is_false = bits % 1000 < of_a_thousand && (!wide || bits % 997 == 0);
        one.mask->data()[i] = is_false ? 0 : static_cast<uint8_t>(1 + (bits >> 32) % 255);
    }
    one.mask->forbid_writes();
    task.mask.pixels = one.mask->data();
    one.threads = random.between(1, 3);
    one.indices = random.one_in(2);
    return one;
}

// The false pixel nearest to row y of a column, the upper one of equals; -1 if there is none.
UNWATCHED int64_t nearest_row(const DistanceTransform& task, const uint8_t* column, int64_t y) {
    for (int64_t k = 0; k < task.height; ++k) {
        if (y - k >= 0 && !column[(y - k) * task.mask.stride_row]) return y - k;
        if (y + k < task.height && !column[(y + k) * task.mask.stride_row]) return y + k;
    }
    return -1;
}

// One image by its definition, columns first; `nearest` is room for a pixel of each column.
UNWATCHED void transform(const DistanceTransform& task, int64_t image, Pixel* nearest, float* distance,
                         int64_t* index) {
    const uint8_t* mask = row_of(task.mask, image, 0);
    for (int64_t y = 0; y < task.height; ++y) {
        int64_t count = 0;
        for (int64_t x = 0; x < task.width; ++x) {
            const int64_t row = nearest_row(task, mask + x, y);
            if (row >= 0) nearest[count++] = {row, x};
        }
        for (int64_t x = 0; x < task.width; ++x) {
            int64_t least = -1, at = -1;
            for (int64_t i = 0; i < count; ++i) {
                const auto [row, column] = nearest[i];
                const int64_t square = (x - column) * (x - column) + (y - row) * (y - row);
                if (least < 0 || square < least) least = square, at = row * task.width + column;
            }
            *distance++ = least < 0 ? HUGE_VALF : static_cast<float>(std::sqrt(static_cast<double>(least)));
            *index++ = at;
        }
    }
}

Expected expected(const DistanceTransform& task) {
    const int64_t pixels = task.height * task.width;
    Expected right;
    right.distance.resize(static_cast<size_t>(task.batch * pixels));
    right.index.resize(right.distance.size());
    std::vector<Pixel> nearest(static_cast<size_t>(task.width));
    for (int64_t image = 0; image < task.batch; ++image)
        transform(task, image, nearest.data(), &right.distance[static_cast<size_t>(image * pixels)],
                  &right.index[static_cast<size_t>(image * pixels)]);
    return right;
}

// What is wrong, or nothing.
std::string complaint(Case& one, const Expected& right, int instruction_set, Guard guard) {
    const int64_t pixels = static_cast<int64_t>(right.index.size());
    Guarded distance(pixels * 4, guard), index(pixels * 8, guard);
    one.task.distance = reinterpret_cast<float*>(distance.data());
    one.task.index = one.indices ? reinterpret_cast<int64_t*>(index.data()) : nullptr;
    distance_transform_cpu(one.task, one.threads, instruction_set);
    if (!distance.margin_is_intact() || !index.margin_is_intact()) return "wrote outside its output";
    for (int64_t i = 0; i < pixels; ++i) {
        const auto at = static_cast<size_t>(i);
        if (one.task.distance[i] != right.distance[at])
            return "has distance " + std::to_string(one.task.distance[i]) + " instead of " +
                   std::to_string(right.distance[at]) + " at pixel " + std::to_string(i);
        if (one.indices && one.task.index[i] != right.index[at])
            return "has index " + std::to_string(one.task.index[i]) + " instead of " + std::to_string(right.index[at]) +
                   " at pixel " + std::to_string(i);
    }
    return "";
}

}  // namespace

int main(int count, char** words) {
    if (count < 3) return std::printf("test_distance_transform SEED COUNT [FIRST]\n"), 2;
    const uint64_t seed = std::strtoull(words[1], nullptr, 10);
    const int64_t cases = std::atoll(words[2]), first = count > 3 ? std::atoll(words[3]) : 0;
#define NAME(SET, ...) #SET,
    const char* const names[] = {EVERY_INSTRUCTION_SET(NAME, )};
#undef NAME
    const int best = static_cast<int>(best_instruction_set());
    for (int64_t number = first; number < first + cases; ++number) {
        Case one = random_case(seed, number);
        const Expected right = expected(one.task);
        for (int set = 0; set <= best; ++set) {
            const std::string wrong = complaint(one, right, set, number % 2 ? Guard::before : Guard::after);
            if (wrong.empty()) continue;
            std::printf("%s %s: %lld x %lld x %lld; repeat with: test_distance_transform %s 1 %lld\n", names[set],
                        wrong.c_str(), static_cast<long long>(one.task.batch), static_cast<long long>(one.task.height),
                        static_cast<long long>(one.task.width), words[1], static_cast<long long>(number));
            return 1;
        }
    }
    std::printf("%lld cases with instruction sets up to %s: all equal\n", static_cast<long long>(cases), names[best]);
    return 0;
}
