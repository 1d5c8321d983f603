// Weighted errors of the rows of a band, in words of 64 pixels; words without an error are passed over.
#include "weighted_f_measure.h"

#include "instruction_set.h"
#include "near.simd.h"
#include "packed.simd.h"

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

// Hands out stretches of the workspace, each aligned for vectors.
class Room {
   public:
    explicit Room(int64_t* words) : next_(reinterpret_cast<unsigned char*>(words)) {}

    template <typename T>
    T* take(int64_t count) {
        T* taken = reinterpret_cast<T*>(next_);
        next_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
        return taken;
    }

    // With a margin on both sides, all of one value.
    template <typename T>
    T* take_row(int64_t width, T value) {
        T* taken = take<T>(padded(width));
        for (int64_t x = 0; x < padded(width); ++x) taken[x] = value;
        return taken + margin;
    }

   private:
    unsigned char* next_;
};

// Differences of predictions, exact: of grey levels or in float64.
int32_t less(uint8_t a, uint8_t b) { return a - b; }
template <typename P>
double less(P a, P b) {
    return static_cast<double>(a) - static_cast<double>(b);
}

// One image of predictions P; those that are right in the foreground and in the background.
template <typename P>
struct Image {
    Image(const WeightedF& task, int64_t image)
        : prediction_(row_of<P>(task.pred, image, 0)),
          truth_(row_of(task.truth, image, 0)),
          prediction_stride(task.pred.stride_row),
          truth_stride(task.truth.stride_row) {
        const double lowest = task.range[2 * image], highest = task.range[2 * image + 1];
        const bool constant = lowest == highest;
        low = static_cast<P>(constant ? 0 : lowest);
        high = static_cast<P>(constant ? (sizeof(P) == 1 ? 255 : 1) : highest);
    }

    const P* prediction(int64_t row) const { return prediction_ + row * prediction_stride; }
    const uint8_t* truth(int64_t row) const { return truth_ + row * truth_stride; }

    const P* prediction_;
    const uint8_t* truth_;
    int64_t prediction_stride, truth_stride;
    P low, high;
};

// Predictions of a row as the blur sees them, found on demand; squared distances within columns, up to what it reaches.
template <typename P>
struct Seen {
    int64_t row;
    P* predictions;
    uint8_t *squares, *has;
};

// Bits of the pixels with an error, in the foreground and in the background.
struct Errors {
    uint64_t *missed, *wrong;
};

template <typename P>
class Band {
   public:
    Band(const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last, int64_t* workspace)
        : image_(task, image),
          background_(weights.background),
          width_(task.width),
          words_(words_of(task.width)),
          height_(task.height),
          start_(first > blur_radius ? first - blur_radius : 0),
          end_(task.height - last > blur_radius ? last + blur_radius : task.height),
          ready_(start_),
          room_(workspace),
          heights_(width_, room_.take<uint16_t>(Heights::count(width_)),
                   room_.take<uint16_t>(Heights::least_count(width_))),
          errors_{room_.take<uint64_t>(words_), room_.take<uint64_t>(words_)},
          passed_(room_.take_row<uint8_t>(width_, farthest)),
          columns_(room_.take_row<double>(width_, 0)),
          nothing_{-1, room_.take_row<P>(width_, image_.high), nullptr, room_.take<uint8_t>(words_)} {
        memset(nothing_.has, 1, static_cast<size_t>(words_));
        for (int64_t k = 0; k <= blur_radius; ++k) gaussian_[k] = Numbers{} + weights.gaussian[k];
        for (Seen<P>& seen : seen_) 
            seen = {-1, room_.take_row<P>(width_, image_.high), room_.take_row<uint8_t>(width_, beyond),
                    room_.take<uint8_t>(words_)};
        for (int64_t row = start_; row < end_; ++row) {
            uint8_t* distances = room_.take_row<uint8_t>(width_, farthest);
            if (row == start_) distances_ = distances;
        }
    }

    // Passes over the rows upwards; then rows must be weighed downwards.
    void start(const int32_t* above, const int32_t* below) {
        const int32_t behind = static_cast<int32_t>(end_), before_first = static_cast<int32_t>(start_ - 1);
        for (int64_t x = 0; x < width_; ++x) passed_[x] = near(below[x] - behind);
        const uint8_t* before = passed_;
        for (int64_t row = end_ - 1; row >= start_; --row) {
            pass(image_.truth(row), width_, before, distances(row));
            before = distances(row);
        }
        for (int64_t x = 0; x < width_; ++x) passed_[x] = near(before_first - above[x]);
    }

    RowErrors weigh(int64_t row) {
        for (; ready_ < end_ && ready_ <= row + blur_radius; ++ready_)
            pass_and_join(image_.truth(ready_), width_, passed_, distances(ready_));
        const RowErrors all = find_errors(row);
        const double span = static_cast<double>(less(image_.high, image_.low));
        RowErrors sums = {0, 0, all.foreground};
        if (all.missed != 0) sums.missed = sum_missed(row) / span;
        if (all.false_positives != 0) sums.false_positives = sum_wrong(row) / span;
        return sums;
    }

   private:
    static uint8_t near(int32_t distance) { return static_cast<uint8_t>(distance < int32_t(farthest) ? distance : int32_t(farthest)); }

    uint8_t* distances(int64_t row) { return distances_ + (row - start_) * padded(width_); }

    bool is_inside(int64_t row) const { return row >= start_ && row < end_; }

    int64_t pixels_of(int64_t i) const { return i + 1 < words_ ? 64 : width_ - i * 64; }

    // Marks the errors of a row; counts the foreground.
    RowErrors find_errors(int64_t row) {
        const P* prediction = image_.prediction(row);
        const uint8_t* truth = image_.truth(row);
        uint64_t missed = 0, wrong = 0;
        int64_t count = 0;
        for (int64_t i = 0; i < words_; ++i, prediction += 64, truth += 64) {
            alignas(64) uint8_t differs[64] = {};
            const int64_t pixels = pixels_of(i);
            for_each_of(pixels, [&](int64_t x) { differs[x] = prediction[x] != (truth[x] ? image_.high : image_.low); });
            const uint64_t is_true = pixels == 64 ? pack(truth) : pack_rest(truth, pixels), differ = pack(differs);
            missed |= errors_.missed[i] = differ & is_true;
            wrong |= errors_.wrong[i] = differ & ~is_true;
            count += count_bits(is_true);
        }
        return {missed ? 1.0 : 0.0, wrong ? 1.0 : 0.0, count};
    }

    template <typename Work>
    static void for_each_of(int64_t pixels, const Work& work) {
        if (pixels == 64) {
            for (int64_t x = 0; x < 64; ++x) work(x);
        } else {
            for (int64_t x = 0; x < pixels; ++x) work(x);
        }
    }

    // What `seen_` has of a row of the image, emptied if it was of another.
    Seen<P>& seen(int64_t row) {
        Seen<P>& found = seen_[row % blurred_rows];
        if (found.row == row) return found;
        found.row = row;
        memset(found.has, 0, static_cast<size_t>(words_));
        take_squares(distances(row), width_, found.squares);
        return found;
    }

    static void take_squares(const uint8_t* distances, int64_t width, uint8_t* __restrict squares) {
        for (int64_t x = 0; x < width; ++x) {
            const uint8_t square = static_cast<uint8_t>(distances[x] * distances[x]);
            squares[x] = distances[x] > reach ? beyond : square;
        }
    }

    // The predictions of a word as the blur sees them: in the background those of the nearest pixel of the foreground,
    // and without an error where that is out of its reach.
    void see(int64_t row, int64_t i, const uint8_t* squares, P* out) {
        const int64_t start = 64 * i;
        const uint8_t* distance = distances(row) + start;
        const P* prediction = image_.prediction(row) + start;
        alignas(64) uint8_t best[64], column[64] = {};
        memset(best, 255, sizeof(best));
        for (int64_t j = -reach; j <= reach; ++j) {
            const uint8_t across = static_cast<uint8_t>(j * j);
            for (int64_t x = 0; x < 64; ++x) {
                const uint8_t square = static_cast<uint8_t>(squares[x + j] + across);
                column[x] = square < best[x] ? static_cast<uint8_t>(j + reach) : column[x];
                best[x] = square < best[x] ? square : best[x];
            }
        }
        const P right = image_.high;
        for_each_of(pixels_of(i), [&](int64_t x) {
            const P value = prediction[x];
            out[x] = distance[x] ? right : value;
        });
        for (int64_t x = 0; x < 64; ++x) best[x] = (best[x] <= corner) & (best[x] > 0);
        const uint8_t* truth = image_.truth(row) + start;
        const int64_t prediction_stride = image_.prediction_stride, truth_stride = image_.truth_stride;
        for (uint64_t bits = pack(best) & low_bits<uint64_t>(pixels_of(i)); bits; bits &= bits - 1) {
            const int64_t x = lowest_bit(bits), from = x + column[x] - reach, rows = distance[from];
            const bool above = truth[from - (rows <= row ? rows : 0) * truth_stride];
            out[x] = prediction[from + (above ? -rows : rows) * prediction_stride];
        }
    }

    // Errors of foreground that count: a pixel's own, or the blurred one if that is less.
    double sum_missed(int64_t row) {
        Seen<P>* rows[blurred_rows];
        for (int64_t k = 0; k < blurred_rows; ++k) {
            const int64_t from = row + k - blur_radius;
            rows[k] = from < start_ || from >= end_ ? &nothing_ : &seen(from);
        }
        int64_t next = 0;
        for (int64_t i = 0; i < words_; ++i) {
            const uint64_t missed = errors_.missed[i];
            if (!missed) continue;
            const int64_t last = i + 1 < words_ && missed >> (64 - blur_radius) ? i + 1 : i;
            for (next = next < i && !(missed & low_bits<uint64_t>(blur_radius)) ? i : next < i ? i - 1 : next; next <= last; ++next) {
                for (Seen<P>* from : rows) {
                    if (!from->has[next]) see(from->row, next, from->squares + 64 * next, from->predictions + 64 * next);
                    from->has[next] = 1;
                }
                add_columns(rows, 64 * next);
            }
        }
        Numbers sums{};
        for (int64_t i = 0; i < words_; ++i)
            if (errors_.missed[i]) sums += blurred(rows[blur_radius]->predictions + 64 * i, distances(row) + 64 * i, columns_ + 64 * i);
        return sum_of(sums);
    }

    // The blur's sums over columns, from column `start` on.
    void add_columns(const Seen<P>* const* rows, int64_t start) {
        const P right = image_.high;
        double* columns = columns_ + start;
        const auto error = [&](int64_t k, int64_t x) { return less(right, rows[k]->predictions[start + x]); };
        for (int64_t x = 0; x < 64; ++x)
            columns[x] = gaussian_[0][0] * error(3, x) + gaussian_[1][0] * (error(2, x) + error(4, x)) +
                         gaussian_[2][0] * (error(1, x) + error(5, x)) + gaussian_[3][0] * (error(0, x) + error(6, x));
    }

    Numbers blurred(const P* predictions, const uint8_t* distance, const double* columns) const {
        const P right = image_.high;
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

    double sum_wrong(int64_t row) {
        const uint8_t* distance = distances(row);
        const double* background = background_;
        const P right = image_.low;
        heights_.find(distance, width_);
        Numbers sums{};
        for (int64_t i = 0; i < words_; ++i) {
            if (!errors_.wrong[i]) continue;
            const int64_t start = 64 * i;
            const P* prediction = image_.prediction(row) + start;
            alignas(64) P values[64];
            alignas(64) double amounts[64], found[lanes];
            for (int64_t x = 0; x < 64; ++x) values[x] = right;
            for_each_of(pixels_of(i), [&](int64_t x) {
                const P value = prediction[x];
                values[x] = distance[start + x] ? value : right;
            });
            for (int64_t x = 0; x < 64; ++x) amounts[x] = less(values[x], right);
            for (int64_t x = 0; x < 64; x += lanes) {
                const uint64_t wrong = errors_.wrong[i] >> x & low_bits<uint64_t>(lanes);
                if (!wrong) continue;
                alignas(64) uint16_t squares[lanes];
                const Squares nearest = heights_.search(start + x, wrong);
                memcpy(squares, &nearest, sizeof(squares));
                for (int64_t k = 0; k < lanes; ++k) found[k] = background[squares[k]];
                for (int64_t k = 0; k < lanes; k += at_once) sums += loaded(amounts + x + k) * loaded(found + k);
            }
        }
        return sum_of(sums);
    }

    static double sum_of(Numbers numbers) {
        double sum = 0;
        for (int64_t k = 0; k < at_once; ++k) sum += numbers[k];
        return sum;
    }

    // A pixel in the blur's window is at most this much further away by squares, and by rows or columns.
    static constexpr int64_t corner = 2 * blur_radius * blur_radius, reach = 4;
    static constexpr uint8_t beyond = 100;

    const Image<P> image_;
    const double* background_;
    const int64_t width_, words_, height_, start_, end_;
    int64_t ready_;
    Room room_;
    Heights heights_;
    const Errors errors_;
    uint8_t *passed_, *distances_;
    double* columns_;
    Seen<P> nothing_, seen_[blurred_rows];
    Numbers gaussian_[blur_radius + 1];
};

template <typename P>
void weigh(const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last,
           const int32_t* above, const int32_t* below, int64_t* workspace, RowErrors* sums) {
    Band<P> band(task, weights, image, first, last, workspace);
    band.start(above, below);
    for (int64_t row = first; row < last; ++row) sums[row - first] = band.weigh(row);
}

}  // namespace

void pass_foreground_rows(const WeightedF& task, int64_t image, int64_t first, int64_t last, bool down, int32_t* rows) {
    for (int64_t i = 0; i < last - first; ++i) {
        const int64_t row = down ? first + i : last - 1 - i;
        const uint8_t* of_row = row_of(task.truth, image, row);
        for (int64_t x = 0; x < task.width; ++x) rows[x] = of_row[x] ? static_cast<int32_t>(row) : rows[x];
    }
}

// Rows [first, last) of an image: `above` and `below` have each column's nearest foreground row outside the band and its
// halo of `blur_radius` rows.
void weigh_band(const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last,
                const int32_t* above, const int32_t* below, int64_t* workspace, RowErrors* sums) {
    const Values values = task.pred.values;
    const auto run = values == Values::uint8     ? weigh<uint8_t>
                     : values == Values::float32 ? weigh<float>
                                                 : weigh<double>;
    run(task, weights, image, first, last, above, below, workspace, sums);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
