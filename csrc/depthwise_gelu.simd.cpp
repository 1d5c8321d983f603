// The GELU of a depthwise convolution in a band, by blocks of columns: a channel in each lane.
#include "gelu.simd.h"

#include "depthwise_gelu.h"
#include "instruction_set.h"
#include "partial_lanes.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr int64_t block = outputs_of_a_block;

// What a block of outputs sees of some channels: three rows, from the column before its first one. Of the columns, first
// to last - 1 are there; a row that is not is read as zeros, all in one place.
struct Patch {
    const float* rows[3];
    int64_t strides[3], first, last, channels;

    void advance() {
        for (const float*& row : rows) row += lanes;
        channels -= lanes;
    }
};

// Where a patch lies: whether it lacks its first or its last column, or any columns or lanes.
struct Inside {
    static bool lacks(const Patch&, int64_t) { return false; }
    static Lanes load(const Patch&, const float* from) { return load_lanes(from); }
};
struct Left : Inside {
    static bool lacks(const Patch&, int64_t column) { return column == 0; }
};
struct Right : Inside {
    static bool lacks(const Patch&, int64_t column) { return column == block + 1; }
};
struct Anywhere {
    static bool lacks(const Patch& patch, int64_t column) { return column < patch.first || column >= patch.last; }
    static Lanes load(const Patch& patch, const float* from) {
        return patch.channels < lanes ? load_first(from, patch.channels) : load_lanes(from);
    }
};

// visit(where it lies)
template <typename Visit>
void locate(const Patch& patch, const Visit& visit) {
    const bool left = patch.first > 0, right = patch.last < block + 2;
    if (patch.channels < lanes || patch.last < block + 1 || (left && right)) return visit(Anywhere());
    if (left) return visit(Left());
    if (right) return visit(Right());
    visit(Inside());
}

// Outputs of a block, `pitch` apart; the weights run backwards for direction -1.
template <typename Place>
void convolve(Place, Lanes* out, int64_t pitch, const Patch& in, const Lanes* weights, int64_t direction, Lanes start) {
    Lanes sums[block];
    for (Lanes& sum : sums) sum = start;
#pragma GCC unroll 9
    for (int64_t t = 0; t < taps_of_hidden; ++t) {
        const Lanes weight = weights[t * direction];
        const float* const row = in.rows[t / 3];
        const int64_t stride = in.strides[t / 3];
#pragma GCC unroll 8
        for (int64_t i = 0; i < block; ++i)
            if (!Place::lacks(in, i + t % 3)) sums[i] += Place::load(in, row + (i + t % 3) * stride) * weight;
    }
    for (int64_t i = 0; i < block; ++i) out[i * pitch] = sums[i];
}

// Adds what a block of the gradient of a gives to the weights and the bias.
template <typename Place>
void correlate(Place, const Lanes* gradient, int64_t pitch, const Patch& in, float* totals) {
    Lanes sums[parameters_of_hidden] = {};
#pragma GCC unroll 8
    for (int64_t i = 0; i < block; ++i) {
        const Lanes factor = gradient[i * pitch];
#pragma GCC unroll 9
        for (int64_t t = 0; t < taps_of_hidden; ++t)
            if (!Place::lacks(in, i + t % 3))
                sums[t] += Place::load(in, in.rows[t / 3] + (i + t % 3) * in.strides[t / 3]) * factor;
        sums[taps_of_hidden] += factor;
    }
    for (int64_t t = 0; t < parameters_of_hidden; ++t, totals += lanes)
        store_lanes(totals, load_lanes(totals) + sums[t]);
}

FLATTENED void activate(const float* __restrict a, float* __restrict out, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[i] = gelu(a[i]);
}

FLATTENED void times_derivative(const float* __restrict gradient, const float* __restrict a, float* __restrict out,
                                int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[i] = gradient[i] * gelu_derivative(a[i]);
}

// What both directions know of a band.
class Band {
   protected:
    Band(const DepthwiseGelu& task, const HiddenBand& place, float* room)
        : task_(task), place_(place), vectors_(vectors_of(place.channels, lanes)), pitch_(hidden_pitch(vectors_)),
          parameters_(reinterpret_cast<Lanes*>(room)), zeros_(parameters_ + vectors_ * parameters_of_hidden),
          a_(zeros_ + vectors_) {
        memset(zeros_, 0, static_cast<size_t>(vectors_) * sizeof(Lanes));
        for (int64_t v = 0; v < vectors_; ++v) {
            const int64_t channel = v * lanes, rest = place.channels - channel, count = rest < lanes ? rest : lanes;
            Lanes* const to = parameters_ + v * parameters_of_hidden;
            gather(task.weight + (place.channel + channel) * taps_of_hidden, taps_of_hidden, 1, count, taps_of_hidden,
                   to);
            gather(task.bias + place.channel + channel, 1, 1, count, 1, to + taps_of_hidden);
        }
    }

    int64_t columns_from(int64_t x) const { return task_.width - x < block ? task_.width - x : block; }
    bool has_row(int64_t y) const { return y >= 0 && y < task_.height; }

    float* address(const FeatureMap& map, int64_t y, int64_t x) const {
        return map.data + place_.sample * map.batch_stride + place_.channel + y * map.row_stride +
               x * map.column_stride;
    }

    // Of all channels of the band.
    Patch patch_of_x(int64_t y, int64_t x) const {
        const int64_t stride = task_.x.column_stride, last = task_.width - x + 1;
        Patch patch = {{}, {}, x == 0, last < block + 2 ? last : block + 2, place_.channels};
        for (int64_t j = 0; j < 3; ++j) {
            const bool there = has_row(y - 1 + j);
            patch.rows[j] = there ? address(task_.x, y - 1 + j, x - 1) : reinterpret_cast<const float*>(zeros_);
            patch.strides[j] = there ? stride : 0;
        }
        return patch;
    }

    // A block of a: columns of vectors. Meanwhile comes what the next block sees for the first time, and the gradient.
    const Lanes* convolve_x(int64_t y, int64_t x) const {
        Patch patch = patch_of_x(y, x);
        const Lanes* parameters = parameters_;
        for (int64_t v = 0; v < vectors_; ++v, patch.advance(), parameters += parameters_of_hidden) {
            if (has_row(y + 1) && x + 2 * block < task_.width) prefetch(task_.x, y + 1, x + block + 1, v);
            if (task_.gradient.data && x + block <= task_.width) prefetch(task_.gradient, y, x, v);
            locate(patch, [&](auto place) {
                convolve(place, a_ + v, pitch_, patch, parameters, 1, parameters[taps_of_hidden]);
            });
        }
        return a_;
    }

    // Asks for a block of a map.
    void prefetch([[maybe_unused]] const FeatureMap& map, [[maybe_unused]] int64_t y, [[maybe_unused]] int64_t x,
                  [[maybe_unused]] int64_t v) const {
#if defined(__GNUC__)
        const float* from = address(map, y, x) + v * lanes;
        for (int64_t i = 0; i < block; ++i, from += map.column_stride) __builtin_prefetch(from);
#endif
    }

    const DepthwiseGelu& task_;
    const HiddenBand& place_;
    const int64_t vectors_, pitch_;
    Lanes* const parameters_;
    Lanes* const zeros_;
    Lanes* const a_;
};

class Forward : Band {
   public:
    Forward(const DepthwiseGelu& task, const HiddenBand& place, float* room) : Band(task, place, room) {}

    void run() const {
        for (int64_t y = place_.top; y < place_.bottom; ++y)
            for (int64_t x = 0; x < task_.width; x += block) {
                const Lanes* const a = convolve_x(y, x);
                for (int64_t i = 0; i < columns_from(x); ++i)
                    activate(reinterpret_cast<const float*>(a + i * pitch_), address(task_.out, y, x + i),
                             place_.channels);
            }
    }
};

// A step gives row y of the gradient of a, what the parameters get from it, and row y - 1 of the gradient of x.
class Backward : Band {
   public:
    Backward(const DepthwiseGelu& task, const HiddenBand& place, float* room)
        : Band(task, place, room), of_a_(a_ + block * pitch_), columns_(framed_columns(task.width)) {
        memset(of_a_, 0, 3 * bytes_of_row());
        memset(place.sums, 0, static_cast<size_t>(vectors_ * parameters_of_hidden) * sizeof(Lanes));
    }

    void run() const {
        for (int64_t y = place_.top - 1; y <= place_.bottom; ++y) {
            if (has_row(y))
                differentiate_gelu(y);
            else
                memset(of_a(y, -1), 0, bytes_of_row());
            if (y > place_.top) differentiate_convolution(y - 1);
        }
    }

   private:
    size_t bytes_of_row() const { return static_cast<size_t>(columns_ * pitch_) * sizeof(Lanes); }

    // The last three rows of the gradient of a, between columns of zeros.
    Lanes* of_a(int64_t y, int64_t x) const { return of_a_ + ((y + 3) % 3 * columns_ + x + 1) * pitch_; }

    void differentiate_gelu(int64_t y) const {
        for (int64_t x = 0; x < task_.width; x += block) {
            const Lanes* const a = convolve_x(y, x);
            for (int64_t i = 0; i < columns_from(x); ++i)
                times_derivative(address(task_.gradient, y, x + i), reinterpret_cast<const float*>(a + i * pitch_),
                                 reinterpret_cast<float*>(of_a(y, x + i)), place_.channels);
            if (y >= place_.top && y < place_.bottom) differentiate_parameters(y, x);
        }
    }

    void differentiate_parameters(int64_t y, int64_t x) const {
        Patch patch = patch_of_x(y, x);
        float* sums = place_.sums;
        for (int64_t v = 0; v < vectors_; ++v, patch.advance(), sums += parameters_of_hidden * lanes)
            locate(patch, [&](auto place) { correlate(place, of_a(y, x) + v, pitch_, patch, sums); });
    }

    void differentiate_convolution(int64_t y) const {
        for (int64_t x = 0; x < task_.width; x += block) {
            Patch patch = {{}, {}, 0, block + 2, vectors_ * lanes};
            for (int64_t j = 0; j < 3; ++j) {
                patch.rows[j] = reinterpret_cast<float*>(of_a(y - 1 + j, x - 1));
                patch.strides[j] = pitch_ * lanes;
            }
            for (int64_t v = 0; v < vectors_; ++v, patch.advance())
                convolve(Inside(), a_ + v, pitch_, patch, parameters_ + v * parameters_of_hidden + taps_of_hidden - 1,
                         -1, Lanes{});
            for (int64_t i = 0; i < columns_from(x); ++i)
                memcpy(address(task_.out, y, x + i), a_ + i * pitch_,
                       static_cast<size_t>(place_.channels) * sizeof(float));
        }
    }

    Lanes* const of_a_;
    const int64_t columns_;
};

}  // namespace

void activate_hidden(const DepthwiseGelu& task, const HiddenBand& band, float* room) { Forward(task, band, room).run(); }

void differentiate_hidden(const DepthwiseGelu& task, const HiddenBand& band, float* room) {
    Backward(task, band, room).run();
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
