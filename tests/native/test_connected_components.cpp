// test_connected_components SEED COUNT [FIRST]: COUNT random masks labelled by every instruction set, against flooding.
#include <cstdio>

#include "../../csrc/api.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;
using Labels = std::vector<int32_t>;
using Counts = std::vector<int64_t>;

struct Case {
    Size size;
    Images mask;
    bool diagonal;
};

Case random_case(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    Case one;
    one.size = {random.between(1, 4), random_length(random), random_length(random)};
    if (random.one_in(4)) one.size.width = random.one_of<int64_t>({511, 512, 513, 600});
    if (random.one_in(10)) one.size.height = 1;
    if (random.one_in(10)) one.size.width = 1;
    one.mask = random_images(random, one.size, random.one_in(2) ? random.between(30, 70) : random_percent(random));
    one.diagonal = random.one_in(2);
    return one;
}

// Numbers what is connected with a pixel.
UNWATCHED void flood(const Case& one, const uint8_t* pixels, int64_t start, int32_t label, int32_t* labels) {
    const auto& [batch, height, width] = one.size;
    std::vector<int64_t> open = {start};
    labels[start] = label;
    while (!open.empty()) {
        const int64_t y = open.back() / width, x = open.back() % width;
        open.pop_back();
        for (int64_t row = y - 1; row <= y + 1; ++row)
            for (int64_t column = x - 1; column <= x + 1; ++column) {
                const bool inside = row >= 0 && row < height && column >= 0 && column < width;
                if (!inside || (!one.diagonal && row != y && column != x)) continue;
                const int64_t i = row * width + column;
                if (!pixels[i] || labels[i]) continue;
                labels[i] = label;
                open.push_back(i);
            }
    }
}

UNWATCHED void expect(const Case& one, Labels& labels, Counts& counts) {
    const int64_t pixels_of_one = one.size.height * one.size.width;
    Bytes pixels(static_cast<size_t>(pixels_of_one));
    for (int64_t image = 0; image < one.size.batch; ++image) {
        copy(one.size, image, one.mask, false, pixels.data());
        int32_t* of_image = labels.data() + image * pixels_of_one;
        int32_t count = 0;
        for (int64_t i = 0; i < pixels_of_one; ++i)
            if (pixels[static_cast<size_t>(i)] && !of_image[i]) flood(one, pixels.data(), i, ++count, of_image);
        counts[static_cast<size_t>(image)] = count;
    }
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    const Case one = random_case(seed, number);
    const size_t pixels = static_cast<size_t>(one.size.pixels()), images = static_cast<size_t>(one.size.batch);
    Labels right(pixels);
    Counts right_counts(images);
    expect(one, right, right_counts);
    for (int set = 0; set <= best; ++set) {
        Guarded out(one.size.pixels() * 4, number % 2 ? Guard::before : Guard::after);
        Counts counts(images, -1);
        connected_components_cpu({one.mask.masks(), reinterpret_cast<int32_t*>(out.data()), counts.data(),
                                  one.size.batch, one.size.height, one.size.width, one.diagonal},
                                 1 + number % 3, set);
        if (out.margin_is_intact() && counts == right_counts && !std::memcmp(out.data(), right.data(), 4 * pixels))
            continue;
        std::printf("%s: components of %s, row stride %lld, %d neighbours\n", names[set], product(one.size).c_str(),
                    static_cast<long long>(one.mask.stride_row), one.diagonal ? 8 : 4);
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_connected_components", count, words, equal); }
