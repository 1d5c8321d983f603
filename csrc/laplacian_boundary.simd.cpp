// A band of rows of the Laplacian boundary loss: rows pass by, and the last three of everything are in scratch memory.
#include "transcendental.simd.h"

#include "instruction_set.h"
#include "laplacian_boundary.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr float smallest_strength = 1e-7f, largest_strength = 8.405621383f;  // atanh of 1e-7 and of 1 - 1e-7

// Three rows that follow each other, with a zero on either side.
struct Rows {
    Rows(float* room, int64_t stride) : above(room + 1), row(above + stride), below(row + stride) {
        for (int64_t x = 0; x < 3 * stride; ++x) room[x] = 0;
    }

    void pass() {
        float* const next = above;
        above = row;
        row = below;
        below = next;
    }

    float *above, *row, *below;
};

void clear(float* row, int64_t width) {
    for (int64_t x = 0; x < width; ++x) row[x] = 0;
}

// The convolution of the middle row, by differences alone: exactly 0 where the values are equal. `sums` has zeros on
// either side.
void convolve(const Rows& rows, int64_t width, bool cross, float* __restrict sums, float* __restrict out) {
    const float *above = rows.above, *row = rows.row, *below = rows.below;
    if (cross) {
        for (int64_t x = 0; x < width; ++x)
            out[x] = ((row[x] - above[x]) + (row[x] - below[x])) + ((row[x] - row[x - 1]) + (row[x] - row[x + 1]));
        return;
    }
    for (int64_t x = 0; x < width; ++x) sums[x] = above[x] + row[x] + below[x];
    for (int64_t x = 0; x < width; ++x) {
        const float down = (row[x] - above[x]) + (row[x] - below[x]);
        out[x] = 3 * down + ((sums[x] - sums[x - 1]) + (sums[x] - sums[x + 1]));
    }
}

void probabilities(const float* __restrict values, int64_t width, bool logits, float* __restrict out) {
    if (logits) {
        for (int64_t x = 0; x < width; ++x) out[x] = 1 / (1 + exponential(-values[x]));
    } else {
        for (int64_t x = 0; x < width; ++x) out[x] = values[x];
    }
}

// `a` of an edge tanh a: |c| where `mirror` is -1, max(c, 0) where it is 0.
float strength(float convolved, float mirror) { return at_least(convolved, mirror * convolved); }

// 1 - E for E = exp(-2 a), without the cancellation of small a.
float one_less(float a, float e) {
    const float near_zero = 2 * a * (1 - a * (1 - a * (0.6666667f - 0.3333333f * a))), far = 1 - e;
    return a < 0.04f ? near_zero : far;
}

// -(t log D + (1 - t) log(1 - D)), from both convolutions.
FLATTENED void losses(const float* __restrict found, const float* __restrict wanted, int64_t width, float mirror,
                      float* __restrict out) {
    for (int64_t x = 0; x < width; ++x) {
        const float a = at_most(at_least(strength(found[x], mirror), smallest_strength), largest_strength);
        const float e = exponential(-2 * a), f = exponential(-2 * strength(wanted[x], mirror));
        const float shift = 2 * a - 0.693147181f;
        out[x] = (shift + logarithm(1 + e)) - (1 - f) / (1 + f) * (shift + logarithm(one_less(a, e)));
    }
}

// A quarter of the derivative by `found`: sign (F - E) / ((1 - E) (1 + E) (1 + F)), 0 where D is clipped.
void slopes(const float* __restrict found, const float* __restrict wanted, int64_t width, float mirror,
            float* __restrict out) {
    for (int64_t x = 0; x < width; ++x) {
        const float a = strength(found[x], mirror);
        const float e = exponential(-2 * a), f = exponential(-2 * strength(wanted[x], mirror));
        const float slope = (f - e) / (one_less(a, e) * (1 + e) * (1 + f)), back = -slope;
        const float turned = found[x] < 0 ? back : slope, low = a < smallest_strength ? 0.0f : turned;
        out[x] = a > largest_strength ? 0.0f : low;
    }
}

// The sum of a row that has zeros up to the next multiple of the lanes.
double sum_of(const float* row, int64_t width) {
    float sums[boundary_lanes] = {};
    for (int64_t x = 0; x < width; x += boundary_lanes)
        for (int64_t k = 0; k < boundary_lanes; ++k) sums[k] += row[x + k];
    double sum = 0;
    for (int64_t k = 0; k < boundary_lanes; ++k) sum += static_cast<double>(sums[k]);
    return sum;
}

// What both directions see of a plane while its rows pass by.
class Passing {
   public:
    Passing(const Boundary& boundary, int64_t plane, float* room)
        : probability(room, boundary_stride(boundary.width)),
          truth(room + 3 * boundary_stride(boundary.width), boundary_stride(boundary.width)),
          sums(room + 6 * boundary_stride(boundary.width) + 1),
          found(sums + boundary_stride(boundary.width)),
          wanted(found + boundary_stride(boundary.width)),
          boundary_(boundary),
          plane_(plane) {
        sums[-1] = sums[boundary.width] = 0;
    }

    // Takes the next row, and convolves the one above it.
    void next(int64_t row) {
        const int64_t width = boundary_.width;
        probability.pass();
        truth.pass();
        if (row < 0 || row >= boundary_.height) {
            clear(probability.below, width);
            clear(truth.below, width);
        } else {
            probabilities(row_of<float>(boundary_.values, plane_, row), width, boundary_.logits, probability.below);
            if (boundary_.target.values == Values::uint8)
                take(row_of<uint8_t>(boundary_.target, plane_, row));
            else
                take(row_of<float>(boundary_.target, plane_, row));
        }
        convolve(probability, width, boundary_.cross, sums, found);
        convolve(truth, width, boundary_.cross, sums, wanted);
    }

    Rows probability, truth;
    float *sums, *found, *wanted;

   private:
    template <typename Value>
    void take(const Value* __restrict target) {
        float* __restrict out = truth.below;
        for (int64_t x = 0; x < boundary_.width; ++x) out[x] = static_cast<float>(target[x]);
    }

    const Boundary& boundary_;
    const int64_t plane_;
};

}  // namespace

void boundary_loss(const BoundaryLoss& task, int64_t plane, int64_t first, int64_t last, float* room, double* sum) {
    const Boundary& boundary = task.boundary;
    const int64_t width = boundary.width, stride = boundary_stride(width);
    const float mirror = boundary.absolute ? -1 : 0;
    Passing passing(boundary, plane, room);
    float* const of_row = room + 9 * stride;
    clear(of_row, stride);
    double total = 0;
    for (int64_t row = first - 1; row <= last; ++row) {
        passing.next(row);
        if (row <= first) continue;
        losses(passing.found, passing.wanted, width, mirror, of_row);
        total += sum_of(of_row, width);
    }
    *sum = total;
}

void boundary_gradient(const BoundaryGradient& task, int64_t plane, int64_t first, int64_t last, float* room) {
    const Boundary& boundary = task.boundary;
    const int64_t width = boundary.width, height = boundary.height, stride = boundary_stride(width);
    const float mirror = boundary.absolute ? -1 : 0;
    Passing passing(boundary, plane, room);
    Rows slope(room + 9 * stride, stride);
    float* const before = room + 12 * stride;
    const float scale = 4 * task.scales[plane];
    for (int64_t row = first - 2; row <= last + 1; ++row) {
        passing.next(row);
        slope.pass();
        if (row < 1 || row > height)
            clear(slope.below, width);
        else
            slopes(passing.found, passing.wanted, width, mirror, slope.below);
        if (row < first + 2) continue;
        convolve(slope, width, boundary.cross, passing.sums, before);
        float* __restrict out = task.gradient + (plane * height + row - 2) * width;
        const float* __restrict p = passing.probability.above;
        if (boundary.logits) {
            for (int64_t x = 0; x < width; ++x) out[x] = before[x] * scale * (p[x] * (1 - p[x]));
        } else {
            for (int64_t x = 0; x < width; ++x) out[x] = before[x] * scale;
        }
    }
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
