// test_moments SEED COUNT [FIRST]: moments of COUNT random masks by every instruction set, against a loop over bytes.
#include <cstdio>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;
using Sums = std::vector<int64_t>;

UNWATCHED Sums expected(const Size& size, const Images& mask) {
    Sums sums(static_cast<size_t>(3 * size.batch));
    Bytes pixels(static_cast<size_t>(size.height * size.width));
    for (int64_t image = 0; image < size.batch; ++image) {
        copy(size, image, mask, false, pixels.data());
        int64_t* of_image = sums.data() + 3 * image;
        for (int64_t i = 0; i < size.height * size.width; ++i) {
            of_image[0] += pixels[i];
            of_image[1] += pixels[i] * (i / size.width);
            of_image[2] += pixels[i] * (i % size.width);
        }
    }
    return sums;
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const Size size = {random.between(1, 4), random_length(random), random_length(random)};
    const Images mask = random_images(random, size, random_percent(random));
    const Sums right = expected(size, mask);
    for (int set = 0; set <= best; ++set) {
        Sums sums(right.size(), -1);
        moments_cpu({mask.masks(), sums.data(), size.batch, size.height, size.width}, random.between(1, 3), set);
        if (sums == right) continue;
        std::printf("%s: moments of %s, row stride %lld\n", names[set], product(size).c_str(),
                    static_cast<long long>(mask.stride_row));
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_moments", count, words, equal); }
