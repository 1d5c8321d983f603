// test_human_correction_effort SEED COUNT [FIRST]: the human correction effort of COUNT random batches, from case FIRST
// on, by every instruction set of this processor, against sets of pixels.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../../csrc/api.h"
#include "../../csrc/instruction_set.h"
#include "../../csrc/polygon.h"
#include "../../csrc/skeletonize_table.h"
#include "contours_by_definition.h"
#include "guarded.h"
#include "random.h"

namespace {

using namespace dislayers;

// One image, 0 or 1 a pixel; 0 outside.
struct Plane {
    int64_t height, width;
    std::vector<uint8_t> pixels;

    Plane(int64_t height, int64_t width) : height(height), width(width), pixels(height * width) {}

    bool inside(int64_t x, int64_t y) const { return x >= 0 && y >= 0 && x < width && y < height; }
    uint8_t operator()(int64_t x, int64_t y) const { return inside(x, y) ? pixels[y * width + x] : 0; }

    template <typename Value>
    Plane with(const Value& value) const {
        Plane result(height, width);
        for (int64_t i = 0; i < height * width; ++i) result.pixels[i] = value(i % width, i / width);
        return result;
    }

    Plane grown() const {
        return with([this](int64_t x, int64_t y) {
            return (*this)(x, y) | (*this)(x - 1, y) | (*this)(x + 1, y) | (*this)(x, y - 1) | (*this)(x, y + 1);
        });
    }

    Plane thinned() const {
        Plane now = *this, before = *this;
        do {
            before = now;
            for (const auto removed : {removed_first<uint8_t>, removed_second<uint8_t>})
                now = now.with([&](int64_t x, int64_t y) {
                    const uint8_t gone = removed(now(x - 1, y - 1), now(x, y - 1), now(x + 1, y - 1), now(x + 1, y),
                                                 now(x + 1, y + 1), now(x, y + 1), now(x - 1, y + 1), now(x - 1, y));
                    return now(x, y) & ~gone & 1;
                });
        } while (now.pixels != before.pixels);
        return now;
    }
};

using Pixel = std::pair<int64_t, int64_t>;

std::vector<std::vector<Point>> polylines(const Contour& contour, const Plane& border, std::set<Pixel>& visited) {
    std::vector<std::vector<Point>> lines;
    bool drawing = false;
    for (Point point : contour.points) {
        const bool clicked = border(point.x, point.y) && visited.insert({point.x, point.y}).second;
        if (clicked && !drawing) lines.emplace_back();
        if (clicked) lines.back().push_back(point);
        drawing = clicked;
    }
    if (lines.size() > 1) {
        const std::vector<Point> first = lines.front();
        const int64_t x = first.front().x - lines.back().back().x, y = first.front().y - lines.back().back().y;
        if (x * x <= 1 && y * y <= 1) {
            lines.back().insert(lines.back().end(), first.rbegin(), first.rend());
            lines.erase(lines.begin());
        }
    }
    return lines;
}

std::vector<int64_t> clicks(const Plane& wrong, const Plane& border, Tolerance tolerance) {
    const auto contours = ContoursByDefinition(wrong.height, wrong.width, wrong).in_order;
    int64_t set = 0, points = 0, regions = 0;
    for (uint8_t pixel : wrong.pixels) set += pixel;
    if (set == wrong.height * wrong.width) return {0, 0};
    std::set<Pixel> visited;
    std::vector<bool> touched(contours.size());
    Polygon polygon(tolerance);
    for (size_t i = 0; i < contours.size(); ++i)
        for (const std::vector<Point>& line : polylines(contours[i], border, visited)) {
            touched[contours[i].is_hole ? contours[i].parent : i] = true;
            points += polygon.approximate(line.data(), static_cast<int64_t>(line.size()), false).size();
        }
    for (size_t i = 0; i < contours.size(); ++i) regions += !contours[i].is_hole && !touched[i];
    return {points, regions};
}

std::vector<int64_t> expected(const Plane& pred, const Plane& truth, const Plane& bones, const Effort& task) {
    const auto set = [&](const auto& value) { return pred.with(value); };
    Plane background = set([&](int64_t x, int64_t y) { return !pred(x, y) && !truth(x, y); });
    for (int64_t i = 0; i < task.relax; ++i) background = background.grown();
    const auto relaxed = [&](const Plane& of, const Plane& other) {
        Plane seeds = set([&](int64_t x, int64_t y) { return of(x, y) && !other(x, y) && !background(x, y); });
        for (int64_t i = 0; i < task.relax; ++i) {
            const Plane larger = seeds.grown();
            seeds = set([&](int64_t x, int64_t y) { return larger(x, y) && of(x, y) && !other(x, y); });
        }
        return seeds;
    };
    const Plane fp = relaxed(pred, truth), missed = relaxed(truth, pred);
    const Plane fn = set([&](int64_t x, int64_t y) { return missed(x, y) || (bones(x, y) && !pred(x, y)); });
    const Plane known = set([&](int64_t x, int64_t y) { return (pred(x, y) && truth(x, y)) || fn(x, y); });
    const Plane other = set([&](int64_t x, int64_t y) { return !known(x, y) && !fp(x, y); });
    std::vector<int64_t> result = clicks(fp, known.grown(), task.tolerance);
    for (int64_t count : clicks(fn, other.grown(), task.tolerance)) result.push_back(count);
    return result;
}

// Images as a tensor may hold them: strided, beside memory that is not theirs.
struct Batch {
    std::vector<Plane> planes;
    std::unique_ptr<Guarded> bytes;
    Masks images;

    Batch(Random& random, std::vector<Plane> given) : planes(std::move(given)) {
        const int64_t height = planes[0].height, width = planes[0].width;
        images.stride_row = width + random.one_of<int64_t>({0, 0, 3, 70});
        images.stride_batch = height * images.stride_row + random.one_of<int64_t>({0, 5});
        const int64_t count = static_cast<int64_t>(planes.size());
        const int64_t size = (count - 1) * images.stride_batch + (height - 1) * images.stride_row + width;
        bytes = std::make_unique<Guarded>(size, random.one_of({Guard::before, Guard::after}));
        for (int64_t image = 0; image < count; ++image)
            for (int64_t i = 0; i < height * width; ++i)
                bytes->data()[image * images.stride_batch + i / width * images.stride_row + i % width] =
                    planes[image].pixels[i] ? 1 + i % 255 : 0;
        bytes->forbid_writes();
        images.pixels = bytes->data();
    }
};

Plane blocks(Random& random, int64_t height, int64_t width) {
    const int64_t size = random.one_of<int64_t>({1, 2, 5, 12});
    const uint64_t percent = random.one_of<uint64_t>({0, 5, 40, 60, 95, 100});
    std::vector<bool> coarse(static_cast<size_t>((height / size + 1) * (width / size + 1)));
    for (size_t i = 0; i < coarse.size(); ++i) coarse[i] = random.bits() % 100 < percent;
    const int64_t columns = width / size + 1;
    return Plane(height, width).with([&](int64_t x, int64_t y) { return coarse[y / size * columns + x / size]; });
}

bool holds(uint64_t seed, int64_t number) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    int64_t batch = random.between(1, 3), height = random.between(1, 30), width = random.between(1, 30);
    if (random.one_in(4)) width = random.one_of<int64_t>({63, 64, 65, 513});
    // Large enough for two threads an image.
    if (number % 300 == 50) batch = 1, height = 515, width = 520;
    std::vector<Plane> preds, truths, skeletons;
    const bool given = random.one_in(3);
    for (int64_t i = 0; i < batch; ++i) {
        const Plane first = blocks(random, height, width), second = blocks(random, height, width);
        truths.push_back(first.with([&](int64_t x, int64_t y) { return first(x, y) | second(x, y); }));
        const Plane noise = blocks(random, height, width);
        const Plane& truth = truths.back();
        preds.push_back(first.with([&](int64_t x, int64_t y) { return truth(x, y) ^ (noise(x, y) & second(x, y)); }));
        const Plane part = first.with([&](int64_t x, int64_t y) { return truth(x, y) & noise(x, y); });
        skeletons.push_back(given ? part : truth.thinned());
    }
    const Batch pred(random, preds), truth(random, truths), skeleton(random, skeletons);
    Guarded out(32 * batch, Guard::after);
    const Tolerance tolerance = {static_cast<double>(random.between(0, 12)) / 2, random.one_in(2)};
    const Masks known = given ? skeleton.images : Masks{nullptr, 0, 0};
    const Effort task = {pred.images, truth.images, known, batch, height, width, random.between(0, 12), tolerance,
                         reinterpret_cast<int64_t*>(out.data())};
    std::vector<int64_t> right;
    for (int64_t i = 0; i < batch; ++i)
        for (int64_t count : expected(preds[i], truths[i], skeletons[i], task)) right.push_back(count);
    for (int index = 0; index <= static_cast<int>(best_instruction_set()); ++index) {
        human_correction_effort_cpu(task, random.between(1, 4), index);
        if (std::equal(right.begin(), right.end(), task.clicks)) continue;
        std::printf("instruction set %d: wrong counts; repeat with: test_human_correction_effort %llu 1 %lld\n", index,
                    static_cast<unsigned long long>(seed), static_cast<long long>(number));
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) {
    if (count < 3) return std::printf("test_human_correction_effort SEED COUNT [FIRST]\n"), 2;
    const uint64_t seed = std::strtoull(words[1], nullptr, 10);
    const int64_t cases = std::atoll(words[2]), first = count > 3 ? std::atoll(words[3]) : 0;
    for (int64_t number = first; number < first + cases; ++number)
        if (!holds(seed, number)) return 1;
    std::printf("%lld cases\n", static_cast<long long>(cases));
}
