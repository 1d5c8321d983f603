// test_morphology SEED COUNT [FIRST]: COUNT random dilations and erosions, from case FIRST on, by every instruction
// set of this processor and by the emulated GPU, against a loop over bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../csrc/api.h"
#include "cases.h"
#include "emulation/cuda_runtime.h"
#include "images.h"

namespace {

using namespace dislayers;

struct Case {
    Size size;
    Images mask, within;
    int64_t iterations, threads;
    unsigned threads_per_block;
    bool square, flip;
};

Case random_case(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Case one;
    const bool huge_batch = number % 1000 == 999, wide = number % 32 == 8, far = number % 32 == 24;
    one.size = {random.between(1, 3), random_length(random), random_length(random)};
    if (random.one_in(4)) one.size.width = random.one_of<int64_t>({255, 256, 257, 511, 512, 513, 600});
    if (random.one_in(20)) one.size.height = random.between(100, 150);
    if (random.one_in(10)) one.size.height = 1;
    if (random.one_in(10)) one.size.width = 1;
    one.iterations = random.one_in(2) ? random.between(0, 4) : random.between(0, 32);
    if (random.one_in(8)) one.iterations = random.one_of({random.between(33, 250), one.size.pixels()});
    // More bands of rows than one, and work enough for several threads.
    if (wide) one.size = {4, random.between(100, 140), random.between(6000, 9000)};
    if (wide) one.iterations = random.between(8, 24);
    // More images than a grid has layers.
    if (huge_batch) one.size = {random.between(65536, 66000), 1, random.between(1, 3)};
    if (huge_batch) one.iterations = 1;
    // An image that many iterations do not fill.
    if (far) one.size = {1, random.between(80, 300), random.between(80, 300)};
    if (far) one.iterations = random.between(20, 250);
    one.square = random.one_in(2);
    one.flip = random.one_in(2);
    one.mask = random_images(random, one.size, far ? (one.flip ? 100 : 0) : random_percent(random));
    if (!far && random.one_in(2)) one.within = random_images(random, one.size, random_percent(random));
    one.threads = random.between(1, 3);
    one.threads_per_block = huge_batch ? 1 : random.one_of({1u, 7u, 16u});
    return one;
}

Dilation task_of(Case& one, uint8_t* out) {
    Dilation task = {};
    task.mask = one.mask.masks();
    if (one.within.memory) task.within = one.within.masks();
    task.out = out;
    task.batch = one.size.batch;
    task.height = one.size.height;
    task.width = one.size.width;
    task.iterations = one.iterations;
    task.square = one.square;
    task.flip = one.flip;
    return task;
}

UNWATCHED bool is_set(const Size& size, const uint8_t* image, int64_t y, int64_t x) {
    return y >= 0 && y < size.height && x >= 0 && x < size.width && image[y * size.width + x];
}

// One iteration of one image, true if it changed: a pixel is set if it or a neighbour is, and `within`.
UNWATCHED bool dilate_once(const Size& size, bool square, const uint8_t* now, const uint8_t* within, uint8_t* next) {
    bool changed = false;
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x) {
            const int64_t i = y * size.width + x;
            bool set = false;
            for (int64_t dy = -1; dy <= 1; ++dy)
                for (int64_t dx = -1; dx <= 1; ++dx)
                    set |= (square || dx == 0 || dy == 0) && is_set(size, now, y + dy, x + dx);
            next[i] = set && within[i];
            changed |= next[i] != now[i];
        }
    return changed;
}

// The definition; erosion is the complement of the complement's dilation.
UNWATCHED Bytes expected(const Case& one) {
    const int64_t pixels = one.size.height * one.size.width;
    Bytes result(static_cast<size_t>(one.size.pixels()));
    Bytes now(static_cast<size_t>(pixels)), next(now), within(now.size(), 1);
    for (int64_t image = 0; image < one.size.batch; ++image) {
        copy(one.size, image, one.mask, one.flip, now.data());
        if (one.within.memory) copy(one.size, image, one.within, false, within.data());
        for (int64_t i = 0; i < one.iterations; ++i) {
            if (!dilate_once(one.size, one.square, now.data(), within.data(), next.data())) break;
            std::swap(now, next);
        }
        const uint8_t* last = now.data();
        uint8_t* out = result.data() + image * pixels;
        for (int64_t i = 0; i < pixels; ++i) out[i] = (last[i] != 0) != one.flip;
    }
    return result;
}

std::string description(const Case& one) {
    return std::string(one.square ? "square " : "cross ") + (one.flip ? "erosion of " : "dilation of ") +
           product(one.size) + ", " + std::to_string(one.iterations) +
           " iterations" + (one.within.memory ? " within another mask" : "") + ", row stride " +
           std::to_string(one.mask.stride_row) + ", " + std::to_string(one.threads) + " threads, " +
           std::to_string(one.threads_per_block) + " a block";
}

class Comparison {
  public:
    Comparison(uint64_t seed, int64_t number) : number(number), one(random_case(seed, number)), right(expected(one)) {}

    bool cpu(int instruction_set, const char* name) {
        return holds(name, [&](const Dilation& task) { dilate_cpu(task, one.threads, instruction_set); });
    }

    bool fits_cuda() const { return one.iterations <= dilate_cuda_iterations; }

    bool cuda() {
        emulation::threads_per_block = one.threads_per_block;
        return holds("cuda", [&](const Dilation& task) {
            if (dilate_cuda(task, nullptr)) std::printf("cuda: the launch was refused\n");
        });
    }

  private:
    template <typename Run>
    bool holds(const char* name, const Run& run) {
        const Guard guard = (number / 2) % 2 ? Guard::before : Guard::after;
        Guarded out(one.size.pixels(), guard);
        run(task_of(one, out.data()));
        const std::string wrong = complaint(out, one.size, right);
        if (wrong.empty()) return true;
        std::printf("%s %s: %s\n", name, wrong.c_str(), description(one).c_str());
        return false;
    }

    int64_t number;
    Case one;
    Bytes right;
};

}  // namespace

int main(int count, char** words) {
    int64_t on_cuda = 0;
    const auto compared = [&](uint64_t seed, int64_t number, const char* const* names, int best) {
        Comparison comparison(seed, number);
        for (int set = 0; set <= best; ++set)
            if (!comparison.cpu(set, names[set])) return false;
        if (!comparison.fits_cuda()) return true;
        ++on_cuda;
        return comparison.cuda();
    };
    const int status = for_each_case("test_morphology", count, words, compared);
    if (status == 0) std::printf("%lld of them on emulated CUDA\n", static_cast<long long>(on_cuda));
    return status;
}
