// test_contours SEED COUNT [FIRST]: contours of COUNT random masks, from case FIRST on, by every instruction set of
// this processor, against a walk over labelled pixels; and polygons of them.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../../csrc/api.h"
#include "../../csrc/instruction_set.h"
#include "contours_by_definition.h"
#include "guarded.h"
#include "random.h"

namespace {

using namespace dislayers;

struct Mask {
    int64_t height, width, stride_row;
    Guarded bytes;

    Mask(Random& random, int64_t height, int64_t width, int64_t stride_row)
        : height(height), width(width), stride_row(stride_row),
          bytes((height - 1) * stride_row + width, random.one_of({Guard::before, Guard::after})) {
        const uint64_t percent = random.one_of<uint64_t>({0, 5, 30, 50, 70, 95, 100});
        const int64_t block = random.one_of<int64_t>({1, 1, 2, 5});
        std::vector<bool> coarse(static_cast<size_t>((height / block + 1) * (width / block + 1)));
        for (size_t i = 0; i < coarse.size(); ++i) coarse[i] = random.bits() % 100 < percent;
        for (int64_t y = 0; y < height; ++y)
            for (int64_t x = 0; x < width; ++x)
                if (coarse[y / block * (width / block + 1) + x / block]) bytes.data()[y * stride_row + x] = 1 + x % 255;
                else bytes.data()[y * stride_row + x] = 0;
        bytes.forbid_writes();
    }

    bool set(int64_t x, int64_t y) const { return bytes.data()[y * stride_row + x] != 0; }
};

// Guards the outputs: each is as long as it has to be.
std::vector<Contour> contours_of(const Mask& mask, int instruction_set) {
    const Contours contours({mask.bytes.data(), mask.height, mask.width, mask.stride_row}, instruction_set);
    const int64_t count = contours.count();
    if (count == 0) return {};
    Guarded points(contours.points() * int64_t(sizeof(Point)), Guard::after), is_hole(count, Guard::after);
    Guarded lengths(8 * count, Guard::after), parents(8 * count, Guard::after);
    const ContourList list = {reinterpret_cast<Point*>(points.data()), reinterpret_cast<int64_t*>(lengths.data()),
                              reinterpret_cast<bool*>(is_hole.data()), reinterpret_cast<int64_t*>(parents.data())};
    contours.write(list);
    std::vector<Contour> result;
    const Point* next = list.points;
    for (int64_t i = 0; i < count; ++i) {
        result.push_back({{next, next + list.lengths[i]}, list.is_hole[i], list.parents[i]});
        next += list.lengths[i];
    }
    return result;
}

// Corners must be points of the contour in its order, wherever it starts.
bool is_part(const std::vector<Point>& contour, const Point* corners, int64_t count) {
    for (size_t start = 0; start < contour.size(); ++start) {
        int64_t matched = 0;
        for (size_t i = 0; i < contour.size() && matched < count; ++i)
            matched += contour[(start + i) % contour.size()] == corners[matched];
        if (matched == count) return true;
    }
    return false;
}

bool polygons_are_parts(Random& random, const std::vector<Contour>& contours) {
    const Tolerance tolerance = {static_cast<double>(random.between(0, 8)) / 2, random.one_in(2)};
    const bool closed = random.one_in(2);
    for (const Contour& contour : contours) {
        const int64_t length = static_cast<int64_t>(contour.points.size());
        Guarded corners(length * int64_t(sizeof(Point)), Guard::after);
        int64_t count = 0;
        const auto* kept = reinterpret_cast<Point*>(corners.data());
        const Curves curves = {contour.points.data(), &length, 1, reinterpret_cast<Point*>(corners.data()), &count};
        const bool adds_up = approximate_polygons_cpu(curves, tolerance, closed) == count;
        if (!adds_up || count < 1 || !is_part(contour.points, kept, count)) return false;
    }
    return true;
}

bool holds(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const int64_t height = random.between(1, 40);
    const bool wide = random.one_in(4);
    const int64_t width = wide ? random.one_of<int64_t>({63, 64, 65, 511, 512, 513}) : random.between(1, 40);
    const Mask mask(random, height, width, width + random.one_of<int64_t>({0, 0, 3, 70}));
    const auto set = [&mask](int64_t x, int64_t y) { return mask.set(x, y); };
    const std::vector<Contour> right = ContoursByDefinition(height, width, set).in_order;
    const std::string repeat = std::to_string(seed) + " 1 " + std::to_string(number);
    for (int index = 0; index <= static_cast<int>(best_instruction_set()); ++index)
        if (!(contours_of(mask, index) == right)) {
            std::printf("instruction set %d: wrong contours; repeat with: test_contours %s\n", index, repeat.c_str());
            return false;
        }
    if (polygons_are_parts(random, right)) return true;
    std::printf("a polygon is no part of its contour; repeat with: test_contours %s\n", repeat.c_str());
    return false;
}

}  // namespace

int main(int count_of_arguments, char** arguments) {
    if (count_of_arguments < 3) return std::printf("usage: test_contours SEED COUNT [FIRST]\n"), 2;
    const uint64_t seed = std::strtoull(arguments[1], nullptr, 10);
    const int64_t count = std::atoll(arguments[2]), first = count_of_arguments > 3 ? std::atoll(arguments[3]) : 0;
    for (int64_t number = first; number < first + count; ++number)
        if (!holds(seed, number)) return 1;
    std::printf("%lld cases\n", static_cast<long long>(count));
}
