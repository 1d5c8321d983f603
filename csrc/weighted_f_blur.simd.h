// The blur of the weighted F-measure, a row at a time; for `weighted_f_measure.simd.cpp` only.
#pragma once

#include "near.simd.h"
#include "packed.simd.h"
#include "weighted_f_measure.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

using Numbers = double __attribute__((vector_size(sizeof(Squares))));
constexpr int64_t at_once = sizeof(Numbers) / sizeof(double);

Numbers loaded(const double* numbers) {
    Numbers result;
    memcpy(&result, numbers, sizeof(result));
    return result;
}

double sum_of(Numbers numbers) {
    double sum = 0;
    for (int64_t k = 0; k < at_once; ++k) sum += numbers[k];
    return sum;
}

// Differences of predictions, exact: of grey levels or in float64.
int32_t less(uint8_t a, uint8_t b) { return a - b; }
template <typename P>
double less(P a, P b) {
    return static_cast<double>(a) - static_cast<double>(b);
}

// A loop over a word's pixels, of known length wherever it can be.
template <typename Work>
void for_each_of(int64_t pixels, const Work& work) {
    if (pixels == 64) {
        for (int64_t x = 0; x < 64; ++x) work(x);
    } else {
        for (int64_t x = 0; x < pixels; ++x) work(x);
    }
}

// One image of predictions P; `low` and `high` are right in the background and in the foreground.
template <typename P>
struct Image {
    Image(const WeightedF& task, int64_t image)
        : predictions(row_of<P>(task.pred, image, 0)),
          truths(row_of(task.truth, image, 0)),
          prediction_stride(task.pred.stride_row),
          truth_stride(task.truth.stride_row) {
        const double lowest = task.range[2 * image], highest = task.range[2 * image + 1];
        const bool constant = lowest == highest;
        low = static_cast<P>(constant ? 0 : lowest);
        high = static_cast<P>(constant ? (sizeof(P) == 1 ? 255 : 1) : highest);
    }

    const P* prediction(int64_t row) const { return predictions + row * prediction_stride; }
    const uint8_t* truth(int64_t row) const { return truths + row * truth_stride; }

    const P* predictions;
    const uint8_t* truths;
    int64_t prediction_stride, truth_stride;
    P low, high;
};

// Sums the errors of the foreground: a pixel's own, or the blurred one if that is less.
template <typename P>
class Blur {
   public:
    Blur(const Image<P>& image, const Distances& distances, const double* gaussian, int64_t width, Room& room)
        : image_(image),
          distances_(distances),
          width_(width),
          words_(words_of(width)),
          columns_(room.take_row<double>(width, 0)) {
        for (int64_t k = 0; k <= blur_radius; ++k) gaussian_[k] = Numbers{} + gaussian[k];
        for (Seen& seen : seen_) {
            seen = {-1, room.take_row(width, image_.high), room.take_row(width, beyond), room.take<uint8_t>(words_)};
        }
        nothing_ = {-1, room.take_row(width, image_.high), nullptr, room.take<uint8_t>(words_)};
        memset(nothing_.has, 1, static_cast<size_t>(words_));
    }

    // Of a row whose errors are the bits of `missed`, in units of the predictions.
    double sum(int64_t row, const uint64_t* missed) {
        constexpr uint64_t left = (1 << blur_radius) - 1, right = left << (64 - blur_radius);
        Seen* rows[blurred_rows];
        for (int64_t k = 0; k < blurred_rows; ++k) rows[k] = &seen(row + k - blur_radius);
        int64_t next = 0;
        for (int64_t i = 0; i < words_; ++i) {
            if (!missed[i]) continue;
            const int64_t first = missed[i] & left ? i - 1 : i, last = missed[i] & right ? i + 1 : i;
            for (next = next < first ? first : next; next <= last && next < words_; ++next) add_columns(rows, next);
        }
        Numbers sums{};
        for (int64_t i = 0; i < words_; ++i)
            if (missed[i]) sums += sum_of_word(row, i);
        return sum_of(sums);
    }

   private:
    // A row as the blur sees it: squared distances within columns as far as it reaches, and predictions of words.
    struct Seen {
        int64_t row;
        P* predictions;
        uint8_t *squares, *has;
    };

    // A pixel in the blur's window is at most so much further away, squared; by rows or by columns; anything more.
    static constexpr uint8_t corner = 2 * blur_radius * blur_radius, reach = blur_radius + 1, beyond = 100;

    // The window's row of a row of the image, emptied if it was another's.
    Seen& seen(int64_t row) {
        if (!distances_.has(row)) return nothing_;
        Seen& found = seen_[row % blurred_rows];
        if (found.row == row) return found;
        found.row = row;
        memset(found.has, 0, static_cast<size_t>(words_));
        take_squares(distances_.of(row), width_, found.squares);
        return found;
    }

    static void take_squares(const uint8_t* distances, int64_t width, uint8_t* __restrict squares) {
        for (int64_t x = 0; x < width; ++x) {
            const uint8_t square = static_cast<uint8_t>(distances[x] * distances[x]);
            squares[x] = distances[x] > reach ? beyond : square;
        }
    }

    // The predictions of a word as the blur sees them: in the background those of the nearest pixel of the foreground,
    // and without an error where that is out of its reach. Inlined, GCC makes slower code of it.
    __attribute__((noinline)) void see(Seen& own, int64_t i) {
        if (own.has[i]) return;
        own.has[i] = 1;
        const int64_t row = own.row, start = 64 * i, pixels = width_ - start < 64 ? width_ - start : 64;
        const uint8_t *distance = distances_.of(row) + start, *squares = own.squares + start;
        const P *prediction = image_.prediction(row) + start, right = image_.high;
        P* out = own.predictions + start;
        alignas(64) uint8_t best[64], column[64] = {};
        memset(best, 255, sizeof(best));
        for (int64_t j = -reach; j <= reach; ++j) {
            const uint8_t across = static_cast<uint8_t>(j * j), place = static_cast<uint8_t>(j + reach);
            for (int64_t x = 0; x < 64; ++x) {
                const uint8_t square = static_cast<uint8_t>(squares[x + j] + across);
                column[x] = square < best[x] ? place : column[x];
                best[x] = square < best[x] ? square : best[x];
            }
        }
        for_each_of(pixels, [&](int64_t x) {
            const P value = prediction[x];
            out[x] = distance[x] ? right : value;
        });
        for (int64_t x = 0; x < 64; ++x) best[x] = (best[x] > 0) & (best[x] <= corner);
        const uint8_t* truth = image_.truth(row) + start;
        const int64_t prediction_stride = image_.prediction_stride, truth_stride = image_.truth_stride;
        for (uint64_t bits = pack(best) & low_bits<uint64_t>(pixels); bits; bits &= bits - 1) {
            const int64_t x = lowest_bit(bits), from = x + column[x] - reach, rows = distance[from];
            const bool above = truth[from - (rows <= row ? rows : 0) * truth_stride];
            out[x] = prediction[from + (above ? -rows : rows) * prediction_stride];
        }
    }

    // The blur's sums over columns, of a word.
    void add_columns(Seen* const* rows, int64_t i) {
        for (int64_t k = 0; k < blurred_rows; ++k) see(*rows[k], i);
        const P right = image_.high;
        double* columns = columns_ + 64 * i;
        const auto error = [&](int64_t k, int64_t x) { return less(right, rows[k]->predictions[64 * i + x]); };
        for (int64_t x = 0; x < 64; ++x)
            columns[x] = gaussian_[0][0] * error(3, x) + gaussian_[1][0] * (error(2, x) + error(4, x)) +
                         gaussian_[2][0] * (error(1, x) + error(5, x)) + gaussian_[3][0] * (error(0, x) + error(6, x));
    }

    Numbers sum_of_word(int64_t row, int64_t i) const {
        const P *predictions = seen_[row % blurred_rows].predictions + 64 * i, right = image_.high;
        const uint8_t* distance = distances_.of(row) + 64 * i;
        const double* columns = columns_ + 64 * i;
        alignas(64) P values[64];
        alignas(64) double own[64];
        for (int64_t x = 0; x < 64; ++x) {
            const P value = predictions[x];
            values[x] = distance[x] ? right : value;
        }
        for (int64_t x = 0; x < 64; ++x) own[x] = less(right, values[x]);
        Numbers sums{};
        for (int64_t x = 0; x < 64; x += at_once) {
            const auto column = [&](int64_t k) { return loaded(columns + x + k); };
            const Numbers blurred = gaussian_[0] * column(0) + gaussian_[1] * (column(-1) + column(1)) +
                                    gaussian_[2] * (column(-2) + column(2)) + gaussian_[3] * (column(-3) + column(3));
            const Numbers errors = loaded(own + x);
            sums += errors < blurred ? errors : blurred;
        }
        return sums;
    }

    const Image<P>& image_;
    const Distances& distances_;
    const int64_t width_, words_;
    double* columns_;
    Seen nothing_, seen_[blurred_rows];
    Numbers gaussian_[blur_radius + 1];
};

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
