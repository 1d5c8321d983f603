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
#include "../../csrc/instruction_set.h"
#include "emulation/cuda_runtime.h"
#include "guarded.h"
#include "random.h"

// Only an oracle and no memory that threads share: ThreadSanitizer would make it the slowest part.
#define UNWATCHED __attribute__((no_sanitize("thread")))

namespace {

using namespace dislayers;
using Bytes = std::vector<uint8_t>;

struct Size {
    int64_t batch, height, width;
    int64_t pixels() const { return batch * height * width; }
};

// Images of bytes as a tensor may hold them: strided, starting anywhere, beside memory that is not theirs.
struct Images {
    int64_t stride_batch, stride_row;
    std::unique_ptr<Guarded> memory;
};

struct Case {
    Size size;
    Images mask, within;
    int64_t iterations, threads;
    unsigned threads_per_block;
    bool flip;
};

UNWATCHED void fill(Random& random, uint64_t percent, uint8_t* bytes, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const uint64_t bits = random.bits();
        bytes[i] = bits % 100 < percent ? static_cast<uint8_t>(1 + (bits >> 32) % 255) : 0;
    }
    // One pixel that differs from all others shows how far every iteration reaches.
    const bool one_differs = !random.one_in(4);
    if (one_differs && (percent == 0 || percent == 100)) bytes[random.between(0, count - 1)] = percent == 0;
}

uint64_t random_percent(Random& random) { return random.one_of<uint64_t>({0, 0, 1, 10, 50, 90, 99, 100, 100}); }

Images random_images(Random& random, const Size& size, uint64_t percent) {
    Images images;
    const int64_t to_16 = (size.width + 15) / 16 * 16;
    images.stride_row = random.one_of({size.width, size.width, size.width + random.between(1, 40), to_16, int64_t(0)});
    const int64_t image = (size.height - 1) * images.stride_row + size.width;
    images.stride_batch = random.one_of({size.height * images.stride_row, image + random.between(0, 40), int64_t(0)});
    const int64_t bytes = (size.batch - 1) * images.stride_batch + image;
    images.memory = std::make_unique<Guarded>(bytes, random.one_of({Guard::before, Guard::after}));
    fill(random, percent, images.memory->data(), bytes);
    images.memory->forbid_writes();
    return images;
}

int64_t random_length(Random& random) {
    if (random.one_in(3)) return random.one_of<int64_t>({1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129});
    return random.between(1, 100);
}

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
    one.flip = random.one_in(2);
    one.mask = random_images(random, one.size, far ? (one.flip ? 100 : 0) : random_percent(random));
    if (!far && random.one_in(2)) one.within = random_images(random, one.size, random_percent(random));
    one.threads = random.between(1, 3);
    one.threads_per_block = huge_batch ? 1 : random.one_of({1u, 7u, 16u});
    return one;
}

Dilation task_of(Case& one, uint8_t* out) {
    Dilation task = {};
    task.mask = one.mask.memory->data();
    task.mask_stride_batch = one.mask.stride_batch;
    task.mask_stride_row = one.mask.stride_row;
    if (one.within.memory) {
        task.within = one.within.memory->data();
        task.within_stride_batch = one.within.stride_batch;
        task.within_stride_row = one.within.stride_row;
    }
    task.out = out;
    task.batch = one.size.batch;
    task.height = one.size.height;
    task.width = one.size.width;
    task.iterations = one.iterations;
    task.flip = one.flip;
    return task;
}

// One iteration of one image, true if it changed: a pixel is set if it or a neighbour of the cross is, and `within`.
UNWATCHED bool dilate_once(const Size& size, const uint8_t* now, const uint8_t* within, uint8_t* next) {
    bool changed = false;
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x) {
            const int64_t i = y * size.width + x;
            const bool set = now[i] || (y > 0 && now[i - size.width]) || (x > 0 && now[i - 1]) ||
                             (y + 1 < size.height && now[i + size.width]) || (x + 1 < size.width && now[i + 1]);
            next[i] = set && within[i];
            changed |= next[i] != now[i];
        }
    return changed;
}

UNWATCHED void copy(const Size& size, int64_t image, const Images& images, bool flip, uint8_t* bytes) {
    const uint8_t* source = images.memory->data() + image * images.stride_batch;
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x)
            bytes[y * size.width + x] = (source[y * images.stride_row + x] != 0) != flip;
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
            if (!dilate_once(one.size, now.data(), within.data(), next.data())) break;
            std::swap(now, next);
        }
        const uint8_t* last = now.data();
        uint8_t* out = result.data() + image * pixels;
        for (int64_t i = 0; i < pixels; ++i) out[i] = (last[i] != 0) != one.flip;
    }
    return result;
}

std::string product(const Size& size) {
    return std::to_string(size.batch) + " x " + std::to_string(size.height) + " x " + std::to_string(size.width);
}

std::string description(uint64_t seed, int64_t number, const Case& one) {
    return (one.flip ? "erosion of " : "dilation of ") + product(one.size) + ", " + std::to_string(one.iterations) +
           " iterations" + (one.within.memory ? " within another mask" : "") + ", row stride " +
           std::to_string(one.mask.stride_row) + ", " + std::to_string(one.threads) + " threads, " +
           std::to_string(one.threads_per_block) + " a block; repeat with: test_morphology " + std::to_string(seed) +
           " 1 " + std::to_string(number);
}

// What is wrong with an output, or nothing.
std::string complaint(const Guarded& out, const Size& size, const Bytes& right) {
    if (!out.margin_is_intact()) return "wrote outside its output";
    if (std::memcmp(out.data(), right.data(), right.size()) == 0) return "";
    int64_t i = 0;
    while (out.data()[i] == right[static_cast<size_t>(i)]) ++i;
    const int64_t row = i / size.width;
    return "has " + std::to_string(out.data()[i]) + " instead of " + std::to_string(right[static_cast<size_t>(i)]) +
           " in image " + std::to_string(row / size.height) + ", row " + std::to_string(row % size.height) +
           ", column " + std::to_string(i % size.width);
}

class Comparison {
  public:
    Comparison(uint64_t seed, int64_t number) : seed(seed), number(number), one(random_case(seed, number)) {
        right = expected(one);
    }

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
        std::printf("%s %s: %s\n", name, wrong.c_str(), description(seed, number, one).c_str());
        return false;
    }

    uint64_t seed;
    int64_t number;
    Case one;
    Bytes right;
};

}  // namespace

int main(int count, char** words) {
    if (count < 3) return std::printf("test_morphology SEED COUNT [FIRST]\n"), 2;
    const uint64_t seed = std::strtoull(words[1], nullptr, 10);
    const int64_t cases = std::atoll(words[2]), first = count > 3 ? std::atoll(words[3]) : 0;
#define NAME(SET, ...) #SET,
    const char* const names[] = {EVERY_INSTRUCTION_SET(NAME, )};
#undef NAME
    const int best = static_cast<int>(best_instruction_set());
    int64_t on_cuda = 0;
    for (int64_t number = first; number < first + cases; ++number) {
        Comparison comparison(seed, number);
        for (int set = 0; set <= best; ++set)
            if (!comparison.cpu(set, names[set])) return 1;
        if (!comparison.fits_cuda()) continue;
        if (!comparison.cuda()) return 1;
        ++on_cuda;
    }
    std::printf("%lld cases on the CPU with instruction sets up to %s, %lld of them on emulated CUDA: all equal\n",
                static_cast<long long>(cases), names[best], static_cast<long long>(on_cuda));
    return 0;
}
