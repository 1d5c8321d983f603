// The human correction effort up to its contours, 64 pixels a word.
#include "human_correction_effort.h"

#include "framed.simd.h"
#include "instruction_set.h"
#include "morphology.h"
#include "skeletonize.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

void swap(uint64_t*& a, uint64_t*& b) {
    uint64_t* const kept = a;
    a = b;
    b = kept;
}

// Calls set(i, word) for every vector of words of the image: i counts from the first pixel's word on, word in its row.
template <typename Set>
void for_each_vector(const Frame& frame, const Set& set) {
    for (int64_t row = 0; row < frame.height; ++row)
        for (int64_t word = 0; word < frame.packed; word += vector_words) set(row * frame.stride + word, word);
}

Vector& at(uint64_t* words) { return *reinterpret_cast<Vector*>(words); }

Vector cross(const uint64_t* words, int64_t stride) {
    const Vector centre = load(words), previous = load(words - vector_words), following = load(words + vector_words);
    const Vector column = centre | load(words - stride) | load(words + stride);
    return dilated(column, centre, word_before(previous, centre), word_after(centre, following), 1, 64);
}

// Dilates the words of a row within others; true if there is more of it then.
bool dilate_row(const Frame& frame, const uint64_t* now, const uint64_t* within, uint64_t* next) {
    Vector added{};
    for (int64_t word = 0; word < frame.packed; word += vector_words) {
        const Vector after = cross(now + word, frame.stride) & load(within + word);
        added |= after ^ load(now + word);
        at(next + word) = after;
    }
    return any(added);
}

// Up to `iterations` dilations of `now` within another plane, or within a row if its stride is 0. `next` is lost. A few
// dilations go down the image together, each a row behind the one before it, while the rows are in the cache.
void dilate(const Frame& frame, uint64_t*& now, uint64_t*& next, const uint64_t* within, int64_t within_stride,
            int64_t iterations) {
    constexpr int64_t most = 8;
    bool grown = true;
    for (int64_t left = iterations; left > 0 && grown; left -= most) {
        const int64_t together = left < most ? left : most;
        grown = false;
        for (int64_t front = 0; front < frame.height + together - 1; ++front)
            for (int64_t step = 0; step < together; ++step) {
                const int64_t row = front - step, first = frame.first_pixel + row * frame.stride;
                if (row < 0 || row >= frame.height) continue;
                const uint64_t* const from = step % 2 ? next : now;
                uint64_t* const to = step % 2 ? now : next;
                const bool more = dilate_row(frame, from + first, within + row * within_stride, to + first);
                grown |= more && step == together - 1;
            }
        if (together % 2) swap(now, next);
    }
}

// Of `wrong` what can be reached from a pixel that is no edge of the prediction or the truth: `background` is what is
// neither, grown.
void relax(const EffortPlanes& planes, const uint64_t* background, uint64_t*& wrong, uint64_t*& seeds, uint64_t*& next,
           int64_t iterations) {
    const int64_t first = planes.frame.first_pixel;
    for_each_vector(planes.frame, [&](int64_t i, int64_t) {
        at(seeds + first + i) = load(wrong + first + i) & ~load(background + first + i);
    });
    dilate(planes.frame, seeds, next, wrong + first, planes.frame.stride, iterations);
    swap(wrong, seeds);
}

}  // namespace

// Packs the masks of an image, with their false positives and negatives, and in scratch plane 0 what is neither;
// `missed` is false where nothing is missed, so that no skeleton is needed.
void pack_effort(const Effort& task, int64_t image, EffortPlanes& planes, bool& missed) {
    const Frame& frame = planes.frame;
    uint64_t* const all[] = {planes.pred, planes.truth, planes.false_positive, planes.false_negative,
                             planes.scratch[0], planes.scratch[1], planes.scratch[2]};
    for (uint64_t* plane : all) clear_frame(frame, plane);
    for (int64_t i = 0; i < frame.packed; ++i) planes.inside[i] = low_bits<uint64_t>(frame.width - 64 * i);
    Vector every_missed{};
    for (int64_t row = 0; row < frame.height; ++row) {
        const int64_t first = frame.first_pixel + row * frame.stride;
        pack_row(row_of(task.pred, image, row), frame.width, 0, planes.pred + first, frame.packed);
        pack_row(row_of(task.truth, image, row), frame.width, 0, planes.truth + first, frame.packed);
        for (int64_t word = 0; word < frame.packed; word += vector_words) {
            const int64_t i = first + word;
            const Vector pred = load(planes.pred + i), truth = load(planes.truth + i);
            at(planes.false_positive + i) = pred & ~truth;
            at(planes.false_negative + i) = truth & ~pred;
            at(planes.scratch[0] + i) = ~(pred | truth) & load(planes.inside + word);
            every_missed |= truth & ~pred;
        }
    }
    missed = any(every_missed);
}

// The skeleton of the truth, given or made.
void skeleton_of_truth(const Effort& task, int64_t image, EffortPlanes& planes) {
    if (task.skeleton.pixels) {
        pack_plane(row_of(task.skeleton, image, 0), task.skeleton.stride_row, planes.frame, planes.skeleton);
    } else {
        std::memcpy(planes.skeleton, planes.truth, static_cast<size_t>(planes.frame.words) * sizeof(uint64_t));
        skeletonize(planes.frame, planes.skeleton);
    }
}

// Leaves of the false positives and negatives what is not thin.
void relax_both(const Effort& task, EffortPlanes& planes) {
    uint64_t*& background = planes.scratch[0];
    dilate(planes.frame, background, planes.scratch[1], planes.inside, 0, task.relax);
    relax(planes, background, planes.false_positive, planes.scratch[1], planes.scratch[2], task.relax);
    relax(planes, background, planes.false_negative, planes.scratch[1], planes.scratch[2], task.relax);
}

// Adds the skeleton to the false negatives if there is one; then scratch planes 0 and 1 have the pixels of the false
// positives and negatives that are to be clicked where they are on a contour.
void borders_of_effort(EffortPlanes& planes, bool with_skeleton) {
    const Frame& frame = planes.frame;
    const int64_t first = frame.first_pixel;
    uint64_t *known = planes.scratch[2], *other = planes.truth;
    for_each_vector(frame, [&](int64_t i, int64_t word) {
        const Vector pred = load(planes.pred + first + i), truth = load(planes.truth + first + i);
        Vector& missed = at(planes.false_negative + first + i);
        if (with_skeleton) missed |= load(planes.skeleton + first + i) & ~pred;
        const Vector right = (pred & truth) | missed;
        at(known + first + i) = right;
        at(other + first + i) = ~(right | load(planes.false_positive + first + i)) & load(planes.inside + word);
    });
    for_each_vector(frame, [&](int64_t i, int64_t) {
        i += first;
        at(planes.scratch[0] + i) = cross(known + i, frame.stride) & load(planes.false_positive + i);
        at(planes.scratch[1] + i) = cross(other + i, frame.stride) & load(planes.false_negative + i);
    });
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
