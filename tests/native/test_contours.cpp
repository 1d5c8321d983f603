// test_contours SEED COUNT [FIRST]: contours of COUNT random masks, from case FIRST on, by every instruction set of this
// processor, against a walk over labelled pixels; and polygons of them.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../../csrc/api.h"
#include "../../csrc/instruction_set.h"
#include "guarded.h"
#include "random.h"

namespace {

using namespace dislayers;

struct Contour {
    std::vector<Point> points;
    bool is_hole;
    int64_t parent;

    bool operator==(const Contour& other) const {
        return points == other.points && is_hole == other.is_hole && parent == other.parent;
    }
};

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
                bytes.data()[y * stride_row + x] = coarse[y / block * (width / block + 1) + x / block] ? 1 + x % 255 : 0;
        bytes.forbid_writes();
    }

    bool set(int64_t x, int64_t y) const { return bytes.data()[y * stride_row + x] != 0; }
};

// Suzuki and Abe as published, with a label for each pixel; label n + 1 is border n, border 0 the frame.
class Definition {
  public:
    explicit Definition(const Mask& mask) : width(mask.width + 2), labels((mask.height + 2) * width) {
        for (int64_t y = 0; y < mask.height; ++y)
            for (int64_t x = 0; x < mask.width; ++x) at(x, y) = mask.set(x, y);
        found.push_back({{}, true, -1});
        for (int64_t y = 0; y < mask.height; ++y) {
            int64_t last = 0;
            for (int64_t x = 0; x < mask.width; ++x) {
                const bool outer = at(x, y) == 1 && at(x - 1, y) == 0, hole = at(x, y) > 0 && at(x + 1, y) == 0;
                if (hole && at(x, y) > 1) last = at(x, y) - 1;
                if (outer || hole) follow(x, y, !outer, found[last].is_hole == !outer ? found[last].parent : last);
                if (at(x, y) != 0 && at(x, y) != 1) last = std::labs(at(x, y)) - 1;
            }
        }
        append_in(0, -1);
    }

    std::vector<Contour> in_order;

  private:
    static constexpr int dx[8] = {1, 1, 0, -1, -1, -1, 0, 1}, dy[8] = {0, -1, -1, -1, 0, 1, 1, 1};

    int64_t& at(int64_t x, int64_t y) { return labels[(y + 1) * width + x + 1]; }

    void follow(int64_t x, int64_t y, bool is_hole, int64_t parent) {
        const int64_t label = static_cast<int64_t>(found.size()) + 1;
        found.push_back({{}, is_hole, parent});
        int start = is_hole ? 8 : 4, tried = 0;
        for (; tried < 8; ++tried) {
            start = (start + 7) % 8;
            if (at(x + dx[start], y + dy[start])) break;
        }
        int64_t now_x = x, now_y = y;
        int back = start;
        do {
            found.back().points.push_back({static_cast<int32_t>(now_x), static_cast<int32_t>(now_y)});
            bool east = tried == 8;
            int next = back;
            for (int i = 1; i <= 8 && tried < 8; ++i) {
                next = (back + i) % 8;
                if (at(now_x + dx[next], now_y + dy[next])) break;
                east |= next == 0;
            }
            if (east || at(now_x, now_y) == 1) at(now_x, now_y) = east ? -label : label;
            if (tried == 8) return;
            now_x += dx[next];
            now_y += dy[next];
            back = (next + 4) % 8;
        } while (now_x != x || now_y != y || back != start);
    }

    void append_in(int64_t border, int64_t place) {
        for (int64_t i = static_cast<int64_t>(found.size()) - 1; i > 0; --i)
            if (found[i].parent == border) {
                in_order.push_back(found[i]);
                in_order.back().parent = place;
                append_in(i, static_cast<int64_t>(in_order.size()) - 1);
            }
    }

    int64_t width;
    std::vector<int64_t> labels;
    std::vector<Contour> found;
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
    const int64_t width = random.one_in(4) ? random.one_of<int64_t>({63, 64, 65, 511, 512, 513}) : random.between(1, 40);
    const Mask mask(random, height, width, width + random.one_of<int64_t>({0, 0, 3, 70}));
    const std::vector<Contour> right = Definition(mask).in_order;
    const std::string repeat = std::to_string(seed) + " 1 " + std::to_string(number);
    for (int set = 0; set <= static_cast<int>(best_instruction_set()); ++set)
        if (!(contours_of(mask, set) == right)) {
            std::printf("instruction set %d: wrong contours; repeat with: test_contours %s\n", set, repeat.c_str());
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
