// The human correction effort on the CPU: images over threads, or the two kinds of mistakes of one image.
#include "human_correction_effort.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <optional>

#include "api.h"
#include "border_following.h"
#include "instruction_set.h"
#include "parallel.h"
#include "polygon.h"
#include "skeletonize.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(pack_effort, const Effort& task, int64_t image, EffortPlanes& planes, bool& missed)
VARIANTS(skeleton_of_truth, const Effort& task, int64_t image, EffortPlanes& planes)
VARIANTS(relax_both, const Effort& task, EffortPlanes& planes)
VARIANTS(borders_of_effort, EffortPlanes& planes, bool with_skeleton)

namespace {

// Pixels of an image below which a second thread costs more than it brings.
constexpr int64_t pixels_for_two = 1 << 18;

// Memory of a worker.
int64_t effort_words(const Frame& frame) { return 7 * frame.words + thinning_words(frame) + frame.stride; }

EffortPlanes planes_in(const Frame& frame, uint64_t* words) {
    EffortPlanes planes = {};
    planes.frame = frame;
    for (uint64_t** plane : {&planes.pred, &planes.truth, &planes.false_positive, &planes.false_negative,
                             &planes.scratch[0], &planes.scratch[1], &planes.scratch[2]}) {
        *plane = words;
        words += frame.words;
    }
    planes.inside = words;
    planes.skeleton = words + frame.stride;
    return planes;
}

bool is_full(const EffortPlanes& planes, const uint64_t* plane) {
    for (int64_t row = 0; row < planes.frame.height; ++row) {
        const uint64_t* words = plane + planes.frame.first_pixel + row * planes.frame.stride;
        if (!std::equal(words, words + planes.frame.packed, planes.inside)) return false;
    }
    return true;
}

// Clicks on wrong regions: corners of polygons along the pixels of `border`, and regions without such a pixel. A pixel
// is clicked once, so it is cleared in `border`.
class Clicks {
  public:
    Clicks(const Borders& borders, const Frame& frame, uint64_t* border, Tolerance tolerance)
        : borders(borders), frame(frame), border(border + frame.first_pixel), polygon(tolerance) {
        for (const Border& outer : borders.all) {
            if (outer.is_hole) continue;
            const int64_t before = points;
            click(outer);
            for (int64_t hole = outer.child; hole >= 0; hole = borders.all[hole].sibling) click(borders.all[hole]);
            regions += points == before;
        }
    }

    int64_t points = 0, regions = 0;

  private:
    void click(const Border& contour) {
        line.clear();
        ends.clear();
        bool drawing = false;
        borders.walk(contour, [&](Point point) {
            uint64_t& word = border[point.y * frame.stride + (point.x >> 6)];
            const uint64_t bit = uint64_t(1) << (point.x & 63);
            const bool clicked = word & bit;
            word &= ~bit;
            if (clicked) line.push_back(point);
            if (drawing && !clicked) ends.push_back(line.size());
            drawing = clicked;
        });
        if (drawing) ends.push_back(line.size());
        size_t start = ends.size() > 1 && meet(line.front(), line.back()) ? join_last_and_first() : 0;
        for (size_t end : ends) {
            points += polygon.approximate(line.data() + start, static_cast<int64_t>(end - start), false).size();
            start = end;
        }
    }

    static bool meet(Point a, Point b) {
        const int64_t x = int64_t(a.x) - b.x, y = int64_t(a.y) - b.y;
        return std::max(x * x, y * y) == 1;
    }

    // The official script appends the first run turned round; its counts need that. Returns where the second starts.
    size_t join_last_and_first() {
        const size_t first = ends.front();
        for (size_t i = first; i > 0; --i) line.push_back(line[i - 1]);
        ends.erase(ends.begin());
        ends.back() = line.size();
        return first;
    }

    const Borders& borders;
    const Frame& frame;
    uint64_t* const border;
    Polygon polygon;
    std::vector<Point> line;
    std::vector<size_t> ends;
};

Borders borders_of(const uint64_t* plane, const Frame& frame) { return {plane + frame.first_pixel, frame}; }

class ImageEffort {
  public:
    ImageEffort(const Effort& task, int64_t image, uint64_t* words, int instruction_set)
        : task(task), image(image), planes(planes_in(framed(task.height, task.width), words)),
          set(instruction_set) {}

    // On up to two threads.
    void compute(int64_t threads) {
        bool missed = false;
        pack_effort_variants[set](task, image, planes, missed);
        std::optional<Borders> false_positive;
        in_parallel(
            threads,
            [&] {
                if (missed) skeleton_of_truth_variants[set](task, image, planes);
            },
            [&] {
                relax_both_variants[set](task, planes);
                false_positive.emplace(borders_of(planes.false_positive, planes.frame));
            });
        borders_of_effort_variants[set](planes, missed);
        int64_t* clicks = task.clicks + 4 * image;
        in_parallel(
            threads, [&] { count(*false_positive, planes.false_positive, planes.scratch[0], clicks); },
            [&] {
                const Borders false_negative = borders_of(planes.false_negative, planes.frame);
                count(false_negative, planes.false_negative, planes.scratch[1], clicks + 2);
            });
    }

  private:
    template <typename First, typename Second>
    static void in_parallel(int64_t threads, const First& first, const Second& second) {
        std::exception_ptr failure[2];
        for_each_task(2, threads, [&](int64_t, const auto& next) {
            for (int64_t part = next(); part >= 0; part = next()) try {
                    part ? second() : first();
                } catch (...) {
                    failure[part] = std::current_exception();
                }
        });
        for (const std::exception_ptr& thrown : failure)
            if (thrown) std::rethrow_exception(thrown);
    }

    void count(const Borders& borders, const uint64_t* wrong, uint64_t* border, int64_t* clicks) const {
        clicks[0] = clicks[1] = 0;
        // A region that fills the image has no outside to be separated from, nor a label in the official script.
        if (is_full(planes, wrong)) return;
        const Clicks counted(borders, planes.frame, border, task.tolerance);
        clicks[0] = counted.points;
        clicks[1] = counted.regions;
    }

    const Effort& task;
    const int64_t image;
    EffortPlanes planes;
    const int set;
};

}  // namespace

void human_correction_effort_cpu(const Effort& task, int64_t threads, int instruction_set) {
    const Frame frame = framed(task.height, task.width);
    const int64_t workers = std::clamp(threads, int64_t(1), task.batch);
    const int64_t each = task.height * task.width < pixels_for_two ? 1 : std::min(threads / workers, int64_t(2));
    const Workspace<uint64_t> words(workers, effort_words(frame));
    std::atomic<bool> out_of_memory{false};
    for_each_task(task.batch, workers, [&](int64_t worker, const auto& next) {
        for (int64_t image = next(); image >= 0; image = next()) try {
                ImageEffort(task, image, words.of(worker), instruction_set).compute(each);
            } catch (const std::bad_alloc&) {
                out_of_memory = true;
            }
    });
    if (out_of_memory) throw std::bad_alloc();
}

}  // namespace dislayers
