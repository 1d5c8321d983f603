// Weighted errors of the rows of a band, in words of 64 pixels; words without an error are passed over.
#include "weighted_f_measure.h"

#include "instruction_set.h"
#include "near.simd.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

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
    Image(const WeightedF& task, int64_t image) : task_(task), image_(image) {
        const double lowest = task.range[2 * image], highest = task.range[2 * image + 1];
        const bool constant = lowest == highest;
        low = static_cast<P>(constant ? 0 : lowest);
        high = static_cast<P>(constant ? (sizeof(P) == 1 ? 255 : 1) : highest);
    }

    const P* prediction(int64_t row) const { return row_of<P>(task_.pred, image_, row); }
    const uint8_t* truth(int64_t row) const { return row_of(task_.truth, image_, row); }

    P low, high;

   private:
    const WeightedF& task_;
    const int64_t image_;
};

// Predictions of a row as the blur sees them, found on demand.
template <typename P>
struct Seen {
    int64_t row;
    P* predictions;
    uint8_t* has;
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
          weights_(weights),
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
          nothing_(room_.take_row<P>(width_, image_.high)) {
        for (Seen<P>& seen : seen_) seen = {-1, room_.take_row<P>(width_, image_.high), room_.take<uint8_t>(words_)};
        for (int64_t row = start_; row < end_; ++row) {
            uint8_t* distances = room_.take_row<uint8_t>(width_, farthest);
            if (row == start_) distances_ = distances;
        }
    }

    // Passes over the rows upwards; then rows must be weighed downwards.
    void start(const int32_t* above, const int32_t* below) {
        for (int64_t x = 0; x < width_; ++x) passed_[x] = near(below[x] - end_);
        const uint8_t* before = passed_;
        for (int64_t row = end_ - 1; row >= start_; --row) {
            pass(image_.truth(row), width_, before, distances(row));
            before = distances(row);
        }
        for (int64_t x = 0; x < width_; ++x) passed_[x] = near(start_ - 1 - above[x]);
    }

    RowErrors weigh(int64_t row) {
        for (; ready_ < end_ && ready_ <= row + blur_radius; ++ready_) {
            uint8_t* distances_of_row = distances(ready_);
            pass(image_.truth(ready_), width_, passed_, passed_);
            for (int64_t x = 0; x < width_; ++x)
                distances_of_row[x] = passed_[x] < distances_of_row[x] ? passed_[x] : distances_of_row[x];
        }
        const RowErrors all = find_errors(row);
        const double span = static_cast<double>(less(image_.high, image_.low));
        RowErrors sums = {0, 0, all.foreground};
        if (all.missed != 0) sums.missed = sum_missed(row) / span;
        if (all.false_positives != 0) sums.false_positives = sum_wrong(row) / span;
        return sums;
    }

   private:
    static uint8_t near(int64_t distance) { return static_cast<uint8_t>(distance < farthest ? distance : farthest); }

    uint8_t* distances(int64_t row) { return distances_ + (row - start_) * padded(width_); }

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

    // The row that `seen_` has for one of the image, emptied if it was another's.
    Seen<P>& seen(int64_t row) {
        Seen<P>& found = seen_[row % blurred_rows];
        if (found.row != row) {
            found.row = row;
            memset(found.has, 0, static_cast<size_t>(words_));
        }
        return found;
    }

    // The predictions of a word as the blur sees them: in the background those of the nearest pixel of the foreground,
    // and without an error where that is out of its reach.
    void see(int64_t row, int64_t i) {
        Seen<P>& own = seen(row);
        if (own.has[i]) return;
        own.has[i] = 1;
        const int64_t start = 64 * i;
        const uint8_t* distance = distances(row) + start;
        const P* prediction = image_.prediction(row) + start;
        P* out = own.predictions + start;
        alignas(64) uint8_t squares[64 + 2 * reach], best[64], column[64], is_near[64];
        for (int64_t x = 0; x < 64 + 2 * reach; ++x) {
            const uint8_t rows = distance[x - reach];
            squares[x] = rows > reach ? 100 : static_cast<uint8_t>(rows * rows);
        }
        memset(best, 255, sizeof(best));
        for (int64_t j = 0; j <= 2 * reach; ++j) {
            const uint8_t across = static_cast<uint8_t>((j - reach) * (j - reach));
            for (int64_t x = 0; x < 64; ++x) {
                const uint8_t square = static_cast<uint8_t>(squares[x + j] + across);
                column[x] = square < best[x] ? static_cast<uint8_t>(j) : column[x];
                best[x] = square < best[x] ? square : best[x];
            }
        }
        for_each_of(pixels_of(i), [&](int64_t x) { out[x] = distance[x] ? image_.high : prediction[x]; });
        for (int64_t x = 0; x < 64; ++x) is_near[x] = best[x] <= corner && distance[x];
        for (uint64_t bits = pack(is_near) & low_bits<uint64_t>(pixels_of(i)); bits; bits &= bits - 1) {
            const int64_t x = lowest_bit(bits), from = start + x + column[x] - reach;
            const int64_t rows = distances(row)[from];
            const bool above = row >= rows && image_.truth(row - rows)[from];
            out[x] = image_.prediction(above ? row - rows : row + rows)[from];
        }
    }

    // Errors of foreground that count: a pixel's own, or the blurred one if that is less.
    double sum_missed(int64_t row) {
        const P* rows[blurred_rows];
        for (int64_t k = 0; k < blurred_rows; ++k) {
            const int64_t from = row + k - blur_radius;
            rows[k] = from < start_ || from >= end_ ? nothing_ : seen(from).predictions;
        }
        double sums[8] = {};
        for (int64_t i = 0; i < words_; ++i) {
            const uint64_t missed = errors_.missed[i];
            if (!missed) continue;
            const int64_t first = i > 0 && missed & low_bits<uint64_t>(blur_radius) ? i - 1 : i;
            const int64_t last = i + 1 < words_ && missed >> (64 - blur_radius) ? i + 1 : i;
            for (int64_t from = row - blur_radius; from <= row + blur_radius; ++from)
                for (int64_t k = first; k <= last && from >= start_ && from < end_; ++k) see(from, k);
            add_blurred(rows, distances(row), 64 * i, sums);
        }
        return sum_of(sums);
    }

    // Of a word from column `start` on.
    void add_blurred(const P* const* rows, const uint8_t* distance, int64_t start, double* sums) const {
        const double* gaussian = weights_.gaussian;
        const auto error = [&](int64_t k, int64_t x) { return less(image_.high, rows[k][start + x]); };
        alignas(64) double columns[64 + 2 * reach];
        for (int64_t x = -reach; x < 64 + reach; ++x)
            columns[x + reach] = gaussian[3] * error(3, x) + gaussian[2] * (error(2, x) + error(4, x)) +
                                 gaussian[1] * (error(1, x) + error(5, x)) + gaussian[0] * (error(0, x) + error(6, x));
        for (int64_t x = 0; x < 64; x += 8) {
            for (int64_t k = 0; k < 8; ++k) {
                const double* c = columns + x + k + reach;
                const double blurred = gaussian[3] * c[0] + gaussian[2] * (c[-1] + c[1]) +
                                       gaussian[1] * (c[-2] + c[2]) + gaussian[0] * (c[-3] + c[3]);
                const double own = distance[start + x + k] ? 0 : error(3, x + k);
                sums[k] += own < blurred ? own : blurred;
            }
        }
    }

    double sum_wrong(int64_t row) {
        const uint8_t* distance = distances(row);
        heights_.find(distance, width_);
        double sums[8] = {};
        for (int64_t i = 0; i < words_; ++i) {
            if (!errors_.wrong[i]) continue;
            const int64_t start = 64 * i;
            const P* prediction = image_.prediction(row) + start;
            alignas(64) double amounts[64] = {};
            for_each_of(pixels_of(i), [&](int64_t x) {
                amounts[x] = distance[start + x] ? less(prediction[x], image_.low) : 0;
            });
            for (int64_t x = 0; x < 64; x += lanes) {
                const uint64_t wrong = errors_.wrong[i] >> x & low_bits<uint64_t>(lanes);
                if (!wrong) continue;
                alignas(64) uint16_t squares[lanes];
                const Squares found = heights_.search(start + x, wrong);
                memcpy(squares, &found, sizeof(squares));
                for (int64_t from = 0; from < lanes; from += 8)
                    for (int64_t k = 0; k < 8; ++k)
                        sums[k] += amounts[x + from + k] * weights_.background[squares[from + k]];
            }
        }
        return sum_of(sums);
    }

    static double sum_of(const double* sums) {
        return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    }

    // A pixel in the blur's window is at most this much further away by squares, and by rows or columns.
    static constexpr int64_t corner = 2 * blur_radius * blur_radius, reach = 4;

    const Image<P> image_;
    const Weights& weights_;
    const int64_t width_, words_, height_, start_, end_;
    int64_t ready_;
    Room room_;
    Heights heights_;
    const Errors errors_;
    uint8_t *passed_, *distances_;
    const P* nothing_;
    Seen<P> seen_[blurred_rows];
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
