// test_joint_histogram SEED COUNT [FIRST]: COUNT random joint histograms, from case FIRST on, by every instruction set
// of this processor, against a loop.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <vector>

#include "../../csrc/api.h"
#include "../../csrc/instruction_set.h"
#include "guarded.h"
#include "random.h"

namespace {

using namespace dislayers;

int64_t length(Random& random) {
    return random.one_in(2) ? random.one_of<int64_t>({1, 63, 64, 65, 127, 128, 129, 200}) : random.between(1, 90);
}

// Memory of images (batch, height, width), strided and beside memory that nobody may read; strides in elements.
struct Images {
    int64_t stride_row, stride_batch;
    std::unique_ptr<Guarded> memory;

    Images(Random& random, const JointCounting& task, int64_t bytes) {
        stride_row = task.width + (random.one_in(2) ? random.between(0, 9) : 0);
        stride_batch = task.height * stride_row + random.between(0, 9);
        count = (task.batch - 1) * stride_batch + (task.height - 1) * stride_row + task.width;
        memory = std::make_unique<Guarded>(count * bytes, bytes > 1 || random.one_in(2) ? Guard::before : Guard::after);
    }

    template <typename Value, typename Draw>
    void fill(const Draw& draw) {
        Value* values = reinterpret_cast<Value*>(memory->data());
        for (int64_t i = 0; i < count; ++i) values[i] = static_cast<Value>(draw());
        memory->forbid_writes();
    }

    int64_t count;
};

double real(Random& random) {
    if (random.one_in(4)) return random.one_of({0.0, 1.0});
    if (random.one_in(20)) return random.one_of({-0.5, 1.5, std::numeric_limits<double>::quiet_NaN(), HUGE_VAL});
    return static_cast<double>(random.bits() >> 11) * 0x1p-53;
}

int64_t bin_of(const JointCounting& task, int64_t i) {
    if (task.values == Values::uint8) return static_cast<const uint8_t*>(task.pred)[i] * task.bins / 256;
    const double value = task.values == Values::float32 ? static_cast<double>(static_cast<const float*>(task.pred)[i])
                                                        : static_cast<const double*>(task.pred)[i];
    return std::isnan(value) ? 0 : static_cast<int64_t>(std::fmin(std::fmax(value, 0), 1) * double(task.bins - 1));
}

std::vector<int64_t> expected(const JointCounting& task) {
    std::vector<int64_t> counts(static_cast<size_t>(task.batch * 2 * task.bins));
    for (int64_t image = 0; image < task.batch; ++image)
        for (int64_t y = 0; y < task.height; ++y)
            for (int64_t x = 0; x < task.width; ++x) {
                const bool truth = task.gt[image * task.gt_stride_batch + y * task.gt_stride_row + x] != 0;
                const int64_t bin = bin_of(task, image * task.pred_stride_batch + y * task.pred_stride_row + x);
                ++counts[static_cast<size_t>((2 * image + truth) * task.bins + bin)];
            }
    return counts;
}

bool holds(uint64_t seed, int64_t number, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    JointCounting task = {};
    task.values = random.one_of({Values::uint8, Values::uint8, Values::float32, Values::float64});
    task.batch = random.between(1, 3);
    task.height = length(random);
    task.width = length(random);
    // Work enough for several threads.
    if (number % 64 == 8) task.batch = 1, task.height = 1050, task.width = 1100;
    task.bins = random.one_of<int64_t>({256, 256, 1, 2, 19, 300});
    Images pred(random, task, task.values == Values::uint8 ? 1 : task.values == Values::float32 ? 4 : 8);
    Images gt(random, task, 1);
    const int64_t saturated = random.one_of<int64_t>({1, 2, 100}), ones = random.one_of<int64_t>({1, 2, 50});
    const auto grey = [&] { return random.one_in(saturated) ? random.one_of({0, 255}) : random.between(0, 255); };
    const auto value = [&] { return real(random); };
    if (task.values == Values::uint8) pred.fill<uint8_t>(grey);
    if (task.values == Values::float32) pred.fill<float>(value);
    if (task.values == Values::float64) pred.fill<double>(value);
    gt.fill<uint8_t>([&] { return random.one_in(ones) ? random.between(1, 255) : 0; });
    task.pred = pred.memory->data();
    task.pred_stride_batch = pred.stride_batch;
    task.pred_stride_row = pred.stride_row;
    task.gt = gt.memory->data();
    task.gt_stride_batch = gt.stride_batch;
    task.gt_stride_row = gt.stride_row;

    const std::vector<int64_t> right = expected(task);
    for (int set = 0; set <= best; ++set) {
        std::vector<int64_t> counts(right.size(), -1);
        task.counts = counts.data();
        joint_histogram_cpu(task, random.between(1, 3), set);
        if (counts == right) continue;
        std::printf("instruction set %d is wrong; repeat with: test_joint_histogram %llu 1 %lld\n", set,
                    static_cast<unsigned long long>(seed), static_cast<long long>(number));
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) {
    if (count < 3) return std::printf("test_joint_histogram SEED COUNT [FIRST]\n"), 2;
    const uint64_t seed = std::strtoull(words[1], nullptr, 10);
    const int64_t cases = std::atoll(words[2]), first = count > 3 ? std::atoll(words[3]) : 0;
    const int best = static_cast<int>(best_instruction_set());
    for (int64_t number = first; number < first + cases; ++number)
        if (!holds(seed, number, best)) return 1;
    std::printf("%lld cases, %d instruction sets: all equal\n", static_cast<long long>(cases), best + 1);
    return 0;
}
