// The depthwise part of a tile, step by step of rows: its windows stay in the cache of a core.
#include "depthwise.simd.h"
#include "feature_tile.simd.h"
#include "instruction_set.h"
#include "multiscale_conv_attention.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

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
        convolve_row(a_.row(k), a_.columns, parameters + size * size, 0, x_.row(k), x_.pitch, size, parameters, 1,
                     size);
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
