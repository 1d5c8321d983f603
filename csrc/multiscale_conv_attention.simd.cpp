// Multi-scale depthwise convolutions of a tile, a channel in each lane: a convolution along rows and one along columns
// are then the same loop, with another stride. Rows pass through windows that a core's cache holds.
#include "multiscale_conv_attention.h"

#include "instruction_set.h"
#include "lanes.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

constexpr int64_t block = block_of_outputs, step = rows_of_a_step;

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Rows of which the last `step` are new in every step.
struct Window {
    Lanes* data;
    int64_t rows, columns, pitch;

    Lanes* row(int64_t i) const { return data + i * pitch; }
    void clear_row(int64_t i) const { memset(row(i), 0, static_cast<size_t>(columns) * sizeof(Lanes)); }
    void clear_past() const {
        for (int64_t i = 0; i < rows - step; ++i) clear_row(i);
    }
    void advance() const {
        for (int64_t i = 0; i < rows - step; ++i)
            memcpy(row(i), row(i + step), static_cast<size_t>(columns) * sizeof(Lanes));
    }
    // Zeros where columns from `first` on are not those of an image.
    void clear_outside(int64_t i, int64_t first, int64_t width) const {
        for (int64_t c = 0; c < least(-first, columns); ++c) row(i)[c] = Lanes{};
        for (int64_t c = most(width - first, 0); c < columns; ++c) row(i)[c] = Lanes{};
    }
};

struct Room {
    Lanes* free;

    Lanes* take(int64_t count) {
        Lanes* const taken = free;
        free += count;
        return taken;
    }
    Window window(int64_t rows, int64_t columns) {
        return {take(rows * pitch_of(columns)), rows, columns, pitch_of(columns)};
    }
};

// A strip's numbers among the parameters of a channel.
struct Strip {
    int64_t size, reach, row, row_bias, column, column_bias;
};

// What both directions know of a tile.
struct Tile {
    const MultiscaleDepthwise& task;
    const FeatureTile& place;
    const int64_t columns, channels, half, reach;  // of the square, and of the longest strip
    const Lanes* const parameters;
    Strip strips[most_strips];

    Tile(const MultiscaleDepthwise& task, const FeatureTile& place, Room& room)
        : task(task), place(place), columns(place.last - place.first),
          channels(least(lanes, task.channels - place.channel)), half(task.size / 2), reach(reach_of_strips(task)),
          parameters(read_parameters(room)) {
        int64_t next = task.size * task.size + 1;
        for (int64_t i = 0; i < task.strip_count; ++i) {
            const int64_t size = task.strips[i];
            strips[i] = {size, size / 2, next, next + size, next + size + 1, next + 2 * size + 1};
            next += 2 * (size + 1);
        }
    }

    const Lanes* read_parameters(Room& room) const {
        const int64_t count = parameters_of_a_channel(task);
        Lanes* read = room.take(count);
        gather(task.parameters + place.channel * count, count, 1, channels, count, read);
        return read;
    }

    bool has_row(int64_t y) const { return y >= 0 && y < task.height; }

    float* address(const FeatureMap& map, int64_t y, int64_t x) const {
        return map.data + place.sample * map.batch_stride + place.channel * map.channel_stride + y * map.row_stride +
               x * map.column_stride;
    }

    // The row y of a map into row i of a window that begins `border` columns before the tile.
    void read(const FeatureMap& map, int64_t y, const Window& window, int64_t i, int64_t border) const {
        if (!has_row(y)) return window.clear_row(i);
        const int64_t first = place.first - border, from = most(first, 0);
        const int64_t count = least(first + window.columns, task.width) - from;
        window.clear_outside(i, first, task.width);
        gather(address(map, y, from), map.channel_stride, map.column_stride, channels, count,
               window.row(i) + from - first);
    }

    void write(const Lanes* row, const FeatureMap& map, int64_t y) const {
        scatter(row, columns, address(map, y, place.first), map.channel_stride, map.column_stride, channels);
    }
};

// Adds the convolution of numbers `stride` apart to a block of results as far apart.
inline void convolve(Lanes (&sums)[block], const Lanes* in, int64_t stride, const Lanes* weights, int64_t direction,
                     int64_t taps) {
    for (int64_t t = 0; t < taps; ++t) {
        const Lanes weight = weights[t * direction];
#pragma GCC unroll 8
        for (int64_t i = 0; i < block; ++i) sums[i] += in[(t + i) * stride] * weight;
    }
}

// out[x] = start[x] + the sum of lines[j][x + t] weights[j][t]; weights run backwards for direction -1, and `start` is
// one number for all where its stride is 0. Whole blocks are written.
void convolve_row(Lanes* out, int64_t columns, const Lanes* start, int64_t start_stride, const Lanes* in, int64_t pitch,
                  int64_t lines, const Lanes* weights, int64_t direction, int64_t taps) {
    for (int64_t x = 0; x < columns; x += block) {
        Lanes sums[block];
        for (int64_t i = 0; i < block; ++i) sums[i] = start[(x + i) * start_stride];
        for (int64_t j = 0; j < lines; ++j)
            convolve(sums, in + j * pitch + x, 1, weights + j * taps * direction, direction, taps);
        for (int64_t i = 0; i < block; ++i) out[x + i] = sums[i];
    }
}

// The same down the columns, for a block of rows.
void convolve_columns(Lanes* out, int64_t out_pitch, int64_t columns, const Lanes* start, int64_t start_pitch,
                      int64_t start_stride, Lanes bias, const Lanes* in, int64_t pitch, const Lanes* weights,
                      int64_t direction, int64_t taps) {
    for (int64_t x = 0; x < columns; ++x) {
        Lanes sums[block];
        for (int64_t i = 0; i < block; ++i) sums[i] = start[i * start_pitch + x * start_stride] + bias;
        convolve(sums, in + x, pitch, weights, direction, taps);
        for (int64_t i = 0; i < block; ++i) out[i * out_pitch + x] = sums[i];
    }
}

// Pairs of numbers: `inner` of them `stride` apart, `outer` times that at the pitches.
struct Pairs {
    const Lanes* gradient;
    int64_t gradient_stride, gradient_pitch;
    const Lanes* in;
    int64_t stride, pitch;
    int64_t inner, outer;
};

// totals[t] += the sum of gradient[p] in[p + t].
template <int64_t taps>
void correlate_taps(const Pairs& pairs, Lanes* totals, int64_t direction) {
    Lanes sums[taps] = {};
    for (int64_t o = 0; o < pairs.outer; ++o) {
        const Lanes* gradient = pairs.gradient + o * pairs.gradient_pitch;
        const Lanes* in = pairs.in + o * pairs.pitch;
        for (int64_t p = 0; p < pairs.inner; ++p) {
            const Lanes factor = *gradient;
#pragma GCC unroll 16
            for (int64_t t = 0; t < taps; ++t) sums[t] += in[t * pairs.stride] * factor;
            gradient += pairs.gradient_stride;
            in += pairs.stride;
        }
    }
    for (int64_t t = 0; t < taps; ++t) totals[t * direction] += sums[t];
}

void correlate(Pairs pairs, Lanes* totals, int64_t direction, int64_t taps) {
    constexpr int64_t at_once = 8;
    int64_t groups = (taps + at_once - 1) / at_once;
    while (taps > 0) {
        const int64_t now = (taps + groups - 1) / groups;
        switch (now) {
            case 1: correlate_taps<1>(pairs, totals, direction); break;
            case 2: correlate_taps<2>(pairs, totals, direction); break;
            case 3: correlate_taps<3>(pairs, totals, direction); break;
            case 4: correlate_taps<4>(pairs, totals, direction); break;
            case 5: correlate_taps<5>(pairs, totals, direction); break;
            case 6: correlate_taps<6>(pairs, totals, direction); break;
            case 7: correlate_taps<7>(pairs, totals, direction); break;
            default: correlate_taps<8>(pairs, totals, direction);
        }
        pairs.in += now * pairs.stride;
        totals += now * direction;
        taps -= now;
        --groups;
    }
}

void add_up(const Lanes* values, int64_t pitch, int64_t columns, int64_t rows, Lanes& total) {
    Lanes sum = {};
    for (int64_t y = 0; y < rows; ++y)
        for (int64_t x = 0; x < columns; ++x) sum += values[y * pitch + x];
    total += sum;
}

// The first row of the first step, so that rows read `ahead` of it come to all rows of an image.
int64_t first_row(int64_t ahead) { return -(ahead + step - 1) / step * step; }

// Forward; a step gives rows `row` on.
class Forward : Tile {
   public:
    Forward(const MultiscaleDepthwise& task, const FeatureTile& place, Room room)
        : Tile(task, place, room), x_(room.window(step + 2 * half, columns + 2 * (reach + half))),
          a_(room.window(step + reach, columns + 2 * reach)), out_(room.window(step, columns)) {
        x_.clear_past();
        for (int64_t i = 0; i < task.strip_count; ++i) {
            rows_[i] = room.window(step + 2 * strips[i].reach, columns);
            rows_[i].clear_past();
            column_bias_ += parameters[strips[i].column_bias];
        }
    }

    void run() {
        for (int64_t row = first_row(reach + half); row < task.height; row += step) {
            for (int64_t k = 0; k < step; ++k) convolve_square(row + reach + k, k);
            for (int64_t i = 0; i < task.strip_count; ++i)
                for (int64_t k = 0; k < step; ++k) convolve_strip_row(i, row + strips[i].reach + k, k);
            for (int64_t k = 0; k < step; k += block)
                if (row + k + block > 0 && row + k < task.height) convolve_strip_columns(k);
            for (int64_t k = 0; k < step; ++k)
                if (has_row(row + k)) write(out_.row(k), task.out, row + k);
            x_.advance();
            a_.advance();
            for (int64_t i = 0; i < task.strip_count; ++i) rows_[i].advance();
        }
    }

   private:
    void convolve_square(int64_t y, int64_t k) const {
        read(task.x, y + half, x_, 2 * half + k, reach + half);
        if (!has_row(y)) return;
        const int64_t size = task.size;
        convolve_row(a_.row(reach + k), a_.columns, parameters + size * size, 0, x_.row(k), x_.pitch, size, parameters,
                     1, size);
        a_.clear_outside(reach + k, place.first - reach, task.width);
    }

    void convolve_strip_row(int64_t i, int64_t y, int64_t k) const {
        const Strip& strip = strips[i];
        if (!has_row(y)) return rows_[i].clear_row(2 * strip.reach + k);
        convolve_row(rows_[i].row(2 * strip.reach + k), columns, parameters + strip.row_bias, 0,
                     a_.row(strip.reach + k) + reach - strip.reach, 0, 1, parameters + strip.row, 1, strip.size);
    }

    void convolve_strip_columns(int64_t k) const {
        const Lanes* start = a_.row(k) + reach;
        int64_t pitch = a_.pitch;
        for (int64_t i = 0; i < task.strip_count; ++i) {
            convolve_columns(out_.row(k), out_.pitch, columns, start, pitch, 1, i ? Lanes{} : column_bias_,
                             rows_[i].row(k), rows_[i].pitch, parameters + strips[i].column, 1, strips[i].size);
            start = out_.row(k);
            pitch = out_.pitch;
        }
        if (task.strip_count) return;
        for (int64_t j = k; j < k + block; ++j)
            memcpy(out_.row(j), a_.row(j) + reach, static_cast<size_t>(columns) * sizeof(Lanes));
    }

    const Window x_, a_, out_;
    Window rows_[most_strips];
    Lanes column_bias_ = {};
};

// Backward; a step gives the gradient of a, and what the parameters get, of rows `row` on, and the gradient of x of
// `half` rows before.
class Backward : Tile {
   public:
    Backward(const MultiscaleDepthwise& task, const FeatureTile& place, Room room)
        : Tile(task, place, room), totals_(room.take(parameters_of_a_channel(task))),
          gradient_(room.window(step + 2 * reach, columns + 2 * (reach + half))),
          x_(room.window(step + 2 * half, columns + 2 * (reach + half))),
          a_(room.window(step, columns + 2 * reach)), of_row_(room.window(step, columns)),
          of_column_(room.window(step, columns + 2 * (reach + half))),
          of_a_(room.window(step + 2 * half, columns + 2 * half)), out_(room.window(1, columns)) {
        gradient_.clear_past();
        x_.clear_past();
        of_a_.clear_past();
        for (int64_t t = 0; t < parameters_of_a_channel(task); ++t) totals_[t] = Lanes{};
    }

    void run() {
        for (int64_t row = first_row(most(reach, half)); row - half < task.height; row += step) {
            first_ = least(most(-row, 0), step);
            last_ = most(least(task.height - row, step), first_);
            for (int64_t k = 0; k < step; ++k) {
                read(task.gradient, row + reach + k, gradient_, 2 * reach + k, reach + half);
                read(task.x, row + half + k, x_, 2 * half + k, reach + half);
                start_row(k);
            }
            for (int64_t i = 0; i < task.strip_count && first_ < last_; ++i) differentiate_strip(strips[i]);
            for (int64_t k = first_; k < last_; ++k)
                of_a_.clear_outside(2 * half + k, place.first - half, task.width);
            differentiate_square();
            for (int64_t k = 0; k < step; ++k)
                if (has_row(row - half + k)) write_gradient(row - half + k, k);
            gradient_.advance();
            x_.advance();
            of_a_.advance();
        }
        const int64_t count = parameters_of_a_channel(task);
        for (int64_t t = 0; t < count; ++t) store_lanes(place.parameter_gradients + t * lanes, totals_[t]);
    }

   private:
    // Row k of a, and the gradient that goes to it directly.
    void start_row(int64_t k) const {
        if (k < first_ || k >= last_) return of_a_.clear_row(2 * half + k);
        const int64_t size = task.size;
        convolve_row(a_.row(k), a_.columns, parameters + size * size, 0, x_.row(k), x_.pitch, size, parameters, 1, size);
        a_.clear_outside(k, place.first - reach, task.width);
        memcpy(of_a_.row(2 * half + k), gradient_.row(reach + k) + reach,
               static_cast<size_t>(of_a_.columns) * sizeof(Lanes));
    }

    void differentiate_strip(const Strip& strip) const {
        const int64_t size = strip.size, before = reach - strip.reach, inside = reach + half, rows = last_ - first_;
        for (int64_t k = first_; k < last_; ++k)
            convolve_row(of_row_.row(k), columns, parameters + strip.row_bias, 0, a_.row(k) + before, 0, 1,
                         parameters + strip.row, 1, size);
        correlate({of_row_.row(first_), of_row_.pitch, 1, gradient_.row(first_ + before) + inside, gradient_.pitch, 1,
                   rows, columns}, totals_ + strip.column + size - 1, -1, size);
        add_up(gradient_.row(first_ + reach) + inside, gradient_.pitch, columns, rows, totals_[strip.column_bias]);
        const Lanes zero = {};
        for (int64_t k = first_ / block * block; k < last_; k += block)
            convolve_columns(of_column_.row(k) + before, of_column_.pitch, columns + 2 * (strip.reach + half), &zero, 0,
                             0, zero, gradient_.row(k + before) + before, gradient_.pitch,
                             parameters + strip.column + size - 1, -1, size);
        correlate({of_column_.row(first_) + inside, 1, of_column_.pitch, a_.row(first_) + before, 1, a_.pitch, columns,
                   rows}, totals_ + strip.row, 1, size);
        add_up(of_column_.row(first_) + inside, of_column_.pitch, columns, rows, totals_[strip.row_bias]);
        for (int64_t k = first_; k < last_; ++k)
            convolve_row(of_a_.row(2 * half + k), of_a_.columns, of_a_.row(2 * half + k), 1, of_column_.row(k) + before,
                         0, 1, parameters + strip.row + size - 1, -1, size);
    }

    void differentiate_square() const {
        const Lanes* gradient = of_a_.row(2 * half + first_) + half;
        const int64_t size = task.size, rows = last_ - first_;
        for (int64_t j = 0; j < size; ++j)
            correlate({gradient, 1, of_a_.pitch, x_.row(first_ + j) + reach, 1, x_.pitch, columns, rows},
                      totals_ + j * size, 1, size);
        add_up(gradient, of_a_.pitch, columns, rows, totals_[size * size]);
    }

    void write_gradient(int64_t y, int64_t k) const {
        const Lanes zero = {};
        const int64_t size = task.size;
        convolve_row(out_.row(0), columns, &zero, 0, of_a_.row(k), of_a_.pitch, size, parameters + size * size - 1, -1,
                     size);
        write(out_.row(0), task.out, y);
    }

    Lanes* const totals_;
    const Window gradient_, x_, a_, of_row_, of_column_, of_a_, out_;
    int64_t first_ = 0, last_ = 0;  // rows of the step that are in the image
};

}  // namespace

void convolve_tile(const MultiscaleDepthwise& task, const FeatureTile& tile, float* room) {
    Forward(task, tile, {reinterpret_cast<Lanes*>(room)}).run();
}

void differentiate_tile(const MultiscaleDepthwise& task, const FeatureTile& tile, float* room) {
    Backward(task, tile, {reinterpret_cast<Lanes*>(room)}).run();
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
