// The GELU of a depthwise convolution in a band, by blocks of columns: a channel in each lane.
#include "gelu.simd.h"

#include "depthwise_gelu.h"
#include "instruction_set.h"
#include "partial_lanes.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr int64_t block = outputs_of_a_block;

// What a block of outputs sees: three rows, from the column before its first one, whose columns are `pitch` apart.
struct Patch {
    const Lanes* rows[3];
    int64_t pitch;
};

// Outputs of a block, `pitch` apart; the weights run backwards for direction -1.
void convolve(Lanes* out, const Patch& in, const Lanes* weights, int64_t direction, Lanes start) {
    Lanes sums[block];
    for (Lanes& sum : sums) sum = start;
#pragma GCC unroll 9
    for (int64_t t = 0; t < taps_of_hidden; ++t) {
        const Lanes weight = weights[t * direction];
        const Lanes* const row = in.rows[t / 3];
#pragma GCC unroll 8
        for (int64_t i = 0; i < block; ++i) sums[i] += row[(i + t % 3) * in.pitch] * weight;
    }
    for (int64_t i = 0; i < block; ++i) out[i * in.pitch] = sums[i];
}

// Adds what a block of the gradient of a gives to the weights and the bias.
void correlate(const Lanes* gradient, const Patch& in, float* totals) {
    Lanes sums[parameters_of_hidden] = {};
#pragma GCC unroll 8
    for (int64_t i = 0; i < block; ++i) {
        const Lanes factor = gradient[i * in.pitch];
#pragma GCC unroll 9
        for (int64_t t = 0; t < taps_of_hidden; ++t) sums[t] += in.rows[t / 3][(i + t % 3) * in.pitch] * factor;
        sums[taps_of_hidden] += factor;
    }
    for (int64_t t = 0; t < parameters_of_hidden; ++t, totals += lanes)
        store_lanes(totals, load_lanes(totals) + sums[t]);
}

FLATTENED void activate(const float* __restrict a, float* __restrict out, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[i] = gelu(a[i]);
}

FLATTENED void times_derivative(const float* gradient, const float* __restrict a, float* out, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[i] = gradient[i] * gelu_derivative(a[i]);
}

// The last three rows of a map between columns of zeros, all channels of a band in each column.
struct LastRows {
    Lanes* data;
    int64_t columns, pitch;

    size_t bytes_of_row() const { return static_cast<size_t>(columns * pitch) * sizeof(Lanes); }
    Lanes* at(int64_t y, int64_t x) const { return data + ((y + 3) % 3 * columns + x + 1) * pitch; }
    void clear_row(int64_t y) const { memset(at(y, -1), 0, bytes_of_row()); }
    Patch around(int64_t y, int64_t x, int64_t v) const {
        return {{at(y - 1, x - 1) + v, at(y, x - 1) + v, at(y + 1, x - 1) + v}, pitch};
    }
};

// What both directions know of a band.
class Band {
   protected:
    Band(const DepthwiseGelu& task, const HiddenBand& place, float* room)
        : task_(task), place_(place), vectors_(vectors_of(place.channels, lanes)), pitch_(hidden_pitch(vectors_)),
          free_(reinterpret_cast<Lanes*>(room)), parameters_(take(vectors_ * parameters_of_hidden)),
          block_(take(block * pitch_)), out_(take(task.width * pitch_)), x_(take_rows()) {
        for (int64_t v = 0; v < vectors_; ++v) {
            const int64_t channel = place.channel + v * lanes;
            Lanes* const to = parameters_ + v * parameters_of_hidden;
            gather(task.weight + channel * taps_of_hidden, taps_of_hidden, 1, channels(v), taps_of_hidden, to);
            gather(task.bias + channel, 1, 1, channels(v), 1, to + taps_of_hidden);
        }
    }

    Lanes* take(int64_t count) {
        Lanes* const taken = free_;
        free_ += count;
        return taken;
    }

    LastRows take_rows() {
        const int64_t columns = framed_columns(task_.width);
        const LastRows rows = {take(3 * columns * pitch_), columns, pitch_};
        const size_t bytes_of_column = static_cast<size_t>(pitch_) * sizeof(Lanes);
        for (int64_t y = 0; y < 3; ++y) {
            memset(rows.at(y, -1), 0, bytes_of_column);
            memset(rows.at(y, task_.width), 0, static_cast<size_t>(columns - 1 - task_.width) * bytes_of_column);
        }
        return rows;
    }

    static bool by_pixels(const FeatureMap& map) { return map.channel_stride == 1; }
    int64_t channels(int64_t v) const { return v + 1 < vectors_ ? lanes : place_.channels - v * lanes; }
    int64_t columns_from(int64_t x) const { return task_.width - x < block ? task_.width - x : block; }
    bool has_row(int64_t y) const { return y >= 0 && y < task_.height; }
    size_t bytes_of_pixel() const { return static_cast<size_t>(place_.channels) * sizeof(float); }

    float* address(const FeatureMap& map, int64_t y, int64_t x) const {
        return map.data + place_.sample * map.batch_stride + place_.channel * map.channel_stride + y * map.row_stride +
               x * map.column_stride;
    }

    void prefetch_gradient([[maybe_unused]] int64_t y, [[maybe_unused]] int64_t x, [[maybe_unused]] int64_t v) const {
#if defined(__GNUC__)
        if (!task_.gradient.data || !by_pixels(task_.gradient)) return;
        const float* gradient = address(task_.gradient, y, x) + v * lanes;
        for (int64_t i = 0; i < columns_from(x); ++i) __builtin_prefetch(gradient + i * task_.gradient.column_stride);
#endif
    }

    // A row of a map whose columns lie side by side, into columns of vectors.
    void read_planes(const FeatureMap& map, int64_t y, Lanes* to) const {
        for (int64_t v = 0; v < vectors_; ++v)
            for (int64_t x = 0; x < task_.width; x += lanes) {
                const int64_t count = task_.width - x < lanes ? task_.width - x : lanes;
                Lanes part[lanes];
                gather(address(map, y, x) + v * lanes * map.channel_stride, map.channel_stride, map.column_stride,
                       channels(v), count, part);
                for (int64_t i = 0; i < count; ++i) to[(x + i) * pitch_ + v] = part[i];
            }
    }

    // Where a pixel of the result is written, and what follows when all of a row are.
    float* out(int64_t y, int64_t x) const {
        return by_pixels(task_.out) ? address(task_.out, y, x) : reinterpret_cast<float*>(out_ + x * pitch_);
    }
    void finish_row(int64_t y) const {
        const FeatureMap& map = task_.out;
        for (int64_t v = 0; v < vectors_ && !by_pixels(map); ++v)
            for (int64_t x = 0; x < task_.width; x += lanes) {
                const int64_t count = task_.width - x < lanes ? task_.width - x : lanes;
                Lanes part[lanes];
                for (int64_t i = 0; i < count; ++i) part[i] = out_[(x + i) * pitch_ + v];
                scatter(part, count, address(map, y, x) + v * lanes * map.channel_stride, map.channel_stride,
                        map.column_stride, channels(v));
            }
    }

    void read_x(int64_t y) const {
        if (!has_row(y)) return x_.clear_row(y);
        if (!by_pixels(task_.x)) return read_planes(task_.x, y, x_.at(y, 0));
        const int64_t whole = place_.channels / lanes;
        const float* from = address(task_.x, y, 0);
        for (int64_t x = 0; x < task_.width; ++x, from += task_.x.column_stride) {
            Lanes* const to = x_.at(y, x);
            for (int64_t v = 0; v < whole; ++v) to[v] = load_lanes(from + v * lanes);
            if (whole < vectors_) to[whole] = load_first(from + whole * lanes, place_.channels - whole * lanes);
        }
    }

    // A block of a, while that of the gradient is on its way: its pixels lie too far apart for a processor to foresee.
    const Lanes* convolve_x(int64_t y, int64_t x) const {
        const Lanes* parameters = parameters_;
        for (int64_t v = 0; v < vectors_; ++v, parameters += parameters_of_hidden) {
            prefetch_gradient(y, x, v);
            convolve(block_ + v, x_.around(y, x, v), parameters, 1, parameters[taps_of_hidden]);
        }
        return block_;
    }

    const DepthwiseGelu& task_;
    const HiddenBand& place_;
    const int64_t vectors_, pitch_;

   private:
    Lanes* free_;

   protected:
    Lanes* const parameters_;
    Lanes* const block_;
    Lanes* const out_;
    const LastRows x_;
};

class Forward : Band {
   public:
    Forward(const DepthwiseGelu& task, const HiddenBand& place, float* room) : Band(task, place, room) {}

    void run() const {
        read_x(place_.top - 1);
        read_x(place_.top);
        for (int64_t y = place_.top; y < place_.bottom; ++y) {
            read_x(y + 1);
            for (int64_t x = 0; x < task_.width; x += block) {
                const Lanes* const a = convolve_x(y, x);
                for (int64_t i = 0; i < columns_from(x); ++i)
                    activate(reinterpret_cast<const float*>(a + i * pitch_), out(y, x + i), place_.channels);
            }
            finish_row(y);
        }
    }
};

// A step gives row y of the gradient of a, what the parameters get from it, and row y - 1 of the gradient of x.
class Backward : Band {
   public:
    Backward(const DepthwiseGelu& task, const HiddenBand& place, float* room)
        : Band(task, place, room), of_a_(take_rows()) {
        memset(place.sums, 0, static_cast<size_t>(vectors_ * parameters_of_hidden) * sizeof(Lanes));
    }

    void run() const {
        read_x(place_.top - 2);
        read_x(place_.top - 1);
        for (int64_t y = place_.top - 1; y <= place_.bottom; ++y) {
            read_x(y + 1);
            if (has_row(y))
                differentiate_gelu(y);
            else
                of_a_.clear_row(y);
            if (y > place_.top) differentiate_convolution(y - 1);
        }
    }

   private:
    // Of a pixel of the GELU.
    const float* gradient(int64_t y, int64_t x) const {
        return by_pixels(task_.gradient) ? address(task_.gradient, y, x) : reinterpret_cast<float*>(of_a_.at(y, x));
    }

    void differentiate_gelu(int64_t y) const {
        if (!by_pixels(task_.gradient)) read_planes(task_.gradient, y, of_a_.at(y, 0));
        for (int64_t x = 0; x < task_.width; x += block) {
            const Lanes* const a = convolve_x(y, x);
            for (int64_t i = 0; i < columns_from(x); ++i)
                times_derivative(gradient(y, x + i), reinterpret_cast<const float*>(a + i * pitch_),
                                 reinterpret_cast<float*>(of_a_.at(y, x + i)), place_.channels);
            if (y < place_.top || y == place_.bottom) continue;
            for (int64_t v = 0; v < vectors_; ++v)
                correlate(of_a_.at(y, x) + v, x_.around(y, x, v), place_.sums + v * parameters_of_hidden * lanes);
        }
    }

    void differentiate_convolution(int64_t y) const {
        for (int64_t x = 0; x < task_.width; x += block) {
            for (int64_t v = 0; v < vectors_; ++v)
                convolve(block_ + v, of_a_.around(y, x, v), parameters_ + v * parameters_of_hidden + taps_of_hidden - 1,
                         -1, Lanes{});
            for (int64_t i = 0; i < columns_from(x); ++i)
                memcpy(out(y, x + i), block_ + i * pitch_, bytes_of_pixel());
        }
        finish_row(y);
    }

    const LastRows of_a_;
};

}  // namespace

void activate_hidden(const DepthwiseGelu& task, const HiddenBand& band, float* room) {
    Forward(task, band, room).run();
}

void differentiate_hidden(const DepthwiseGelu& task, const HiddenBand& band, float* room) {
    Backward(task, band, room).run();
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
