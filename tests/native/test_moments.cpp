// test_moments SEED COUNT [FIRST]: the moments of COUNT random masks, from case FIRST on, by every instruction set of
// this processor, against a loop.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../csrc/api.h"
#include "../../csrc/instruction_set.h"
#include "guarded.h"
#include "random.h"

namespace {

using namespace dislayers;

std::vector<int64_t> expected(const Summation& task) {
    std::vector<int64_t> sums(static_cast<size_t>(3 * task.batch));
    for (int64_t image = 0; image < task.batch; ++image)
        for (int64_t y = 0; y < task.height; ++y)
            for (int64_t x = 0; x < task.width; ++x) {
                if (!task.mask[image * task.mask_stride_batch + y * task.mask_stride_row + x]) continue;
                int64_t* of_image = sums.data() + 3 * image;
                of_image[0] += 1;
                of_image[1] += y;
                of_image[2] += x;
            }
    return sums;
}

bool holds(uint64_t seed, int64_t number, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Summation task = {};
    task.batch = random.between(1, 4);
    task.height = random.between(1, 60);
    task.width = random.one_in(2) ? random.one_of<int64_t>({1, 63, 64, 65, 128, 513}) : random.between(1, 200);
    task.mask_stride_row = task.width + (random.one_in(2) ? random.between(0, 9) : 0);
    task.mask_stride_batch = task.height * task.mask_stride_row + random.between(0, 9);
    const int64_t bytes =
        (task.batch - 1) * task.mask_stride_batch + (task.height - 1) * task.mask_stride_row + task.width;
    const Guarded mask(bytes, random.one_of({Guard::before, Guard::after}));
    const int64_t one_in = random.one_of<int64_t>({1, 2, 50});
    for (int64_t i = 0; i < bytes; ++i)
        mask.data()[i] = random.one_in(one_in) ? static_cast<uint8_t>(random.between(1, 255)) : 0;
    task.mask = mask.data();

    const std::vector<int64_t> right = expected(task);
    for (int set = 0; set <= best; ++set) {
        std::vector<int64_t> sums(right.size(), -1);
        task.sums = sums.data();
        moments_cpu(task, random.between(1, 3), set);
        if (sums == right) continue;
        std::printf("instruction set %d is wrong; repeat with: test_moments %llu 1 %lld\n", set,
                    static_cast<unsigned long long>(seed), static_cast<long long>(number));
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) {
    if (count < 3) return std::printf("test_moments SEED COUNT [FIRST]\n"), 2;
    const uint64_t seed = std::strtoull(words[1], nullptr, 10);
    const int64_t cases = std::atoll(words[2]), first = count > 3 ? std::atoll(words[3]) : 0;
    const int best = static_cast<int>(best_instruction_set());
    for (int64_t number = first; number < first + cases; ++number)
        if (!holds(seed, number, best)) return 1;
    std::printf("%lld cases, %d instruction sets: all equal\n", static_cast<long long>(cases), best + 1);
    return 0;
}
