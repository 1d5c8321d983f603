// test_skeletonize SEED COUNT [FIRST]: COUNT random masks thinned by every instruction set, whole and in bands, against
// a loop over bytes.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "../../csrc/api.h"
#include "../../csrc/skeletonize_bands.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;

// As in dislayers/skeletonize/reference.py: by the neighbours NW, N, NE, E, SE, S, SW and W, which count 1 to 128.
constexpr char table[] =
    "0001001300311013000000002020303300000000300000000000000020003022"
    "0000000000000000000000000000000020000000200020003000000030003020"
    "0031001300000001000000000000000131000000000000002000000000000000"
    "2313001300000001000000000000000023010001000000003301000022002000";

struct Case {
    Size size;
    Images mask;
    int64_t threads, bands, halo;
};

Case random_case(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Case one;
    one.size = {random.between(1, 4), random_length(random), random_length(random)};
    if (random.one_in(4)) one.size.width = random.one_of<int64_t>({511, 512, 513, 600});
    if (random.one_in(10)) one.size.height = 1;
    if (random.one_in(10)) one.size.width = 1;
    // Blocks of more than one vector: without vectors, and with those of AVX-512.
    if (random.one_in(30)) one.size = {1, random.between(1, 20), random.between(4090, 4200)};
    if (random.one_in(100)) one.size = {1, random.between(1, 6), random.between(32760, 33300)};
    one.mask = random_images(random, one.size, random_percent(random));
    one.threads = random.between(1, 3);
    one.bands = random.between(1, std::clamp(one.size.height / 2, int64_t(1), int64_t(5)));
    one.halo = 2 * random.between(1, std::max(one.size.height / one.bands / 2, int64_t(1)));
    return one;
}

UNWATCHED int neighbourhood(const Size& size, const uint8_t* pixels, int64_t y, int64_t x) {
    constexpr int64_t places[8][2] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, 1}, {1, 1}, {1, 0}, {1, -1}, {0, -1}};
    int sum = 0;
    for (int i = 0; i < 8; ++i) {
        const int64_t row = y + places[i][0], column = x + places[i][1];
        if (row < 0 || row >= size.height || column < 0 || column >= size.width) continue;
        if (pixels[row * size.width + column]) sum |= 1 << i;
    }
    return sum;
}

// One sub-iteration of one image, true if it removed a pixel.
UNWATCHED bool thin_once(const Size& size, int bit, const uint8_t* now, uint8_t* next) {
    bool removed = false;
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x) {
            const int64_t i = y * size.width + x;
            const bool goes = now[i] && ((table[neighbourhood(size, now, y, x)] - '0') & bit);
            next[i] = now[i] && !goes;
            removed |= goes;
        }
    return removed;
}

UNWATCHED Bytes expected(const Case& one) {
    const int64_t pixels = one.size.height * one.size.width;
    Bytes result, now(static_cast<size_t>(pixels)), next(now);
    for (int64_t image = 0; image < one.size.batch; ++image) {
        copy(one.size, image, one.mask, false, now.data());
        for (bool removed = true; removed;) {
            removed = false;
            for (const int bit : {1, 2}) {
                removed |= thin_once(one.size, bit, now.data(), next.data());
                std::swap(now, next);
            }
        }
        result.insert(result.end(), now.begin(), now.end());
    }
    return result;
}

bool equal(const Case& one, const Bytes& right, Guard guard, int instruction_set, const char* name) {
    const auto equals = [&](const char* how, const auto& skeletonize) {
        Guarded out(one.size.pixels(), guard);
        skeletonize({one.mask.masks(), out.data(), one.size.batch, one.size.height, one.size.width});
        const std::string wrong = complaint(out, one.size, right);
        if (!wrong.empty())
            std::printf("%s, %s: %s: skeleton of %s, row stride %lld, %lld bands, halo %lld\n", name, how,
                        wrong.c_str(), product(one.size).c_str(), static_cast<long long>(one.mask.stride_row),
                        static_cast<long long>(one.bands), static_cast<long long>(one.halo));
        return wrong.empty();
    };
    return equals("whole", [&](const Thinning& task) { skeletonize_cpu(task, one.threads, instruction_set); }) &&
           equals("in bands", [&](const Thinning& task) {
               BandedThinning thinning(task, one.bands, one.halo, instruction_set);
               for (int64_t image = 0; image < one.size.batch; ++image) thinning.skeletonize(image, one.threads);
           });
}

}  // namespace

int main(int count, char** words) {
    return for_each_case("test_skeletonize", count, words, [](uint64_t seed, int64_t number, auto names, int best) {
        const Case one = random_case(seed, number);
        const Bytes right = expected(one);
        for (int set = 0; set <= best; ++set)
            if (!equal(one, right, number % 2 ? Guard::before : Guard::after, set, names[set])) return false;
        return true;
    });
}
