// Weighted errors of the rows of a band, in blocks of 16 pixels; blocks without an error are passed over.
#include "weighted_f_measure.h"

#include "instruction_set.h"
#include "nearest.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Squared distance of the corners of a blur's window: further away no pixel counts.
constexpr int64_t corner = 2 * blur_radius * blur_radius;

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

   private:
    unsigned char* next_;
};

// One image of predictions P, stretched to [0, 1].
template <typename P>
class Image {
   public:
    Image(const WeightedF& task, int64_t image) : task_(task), image_(image) {
        const double low = task.range[2 * image], high = task.range[2 * image + 1];
        constexpr bool levels = sizeof(P) == 1;
        const double most = levels ? 255 : 1;
        const bool constant = low == high;
        right_[0] = static_cast<P>(constant ? 0 : low);
        right_[1] = static_cast<P>(constant ? most : high);
        low_ = constant ? 0 : low / most;
        span_ = constant ? 1 : high / most - low_;
        for (int i = 0; i < 256 && levels; ++i) table_[i] = (i / most - low_) / span_;
    }

    const P* prediction(int64_t row) const { return row_of<P>(task_.pred, image_, row); }
    const uint8_t* truth(int64_t row) const { return row_of(task_.truth, image_, row); }

    // The predictions without an error.
    P right(bool truth) const { return right_[truth]; }

    double normalized(P value) const {
        if constexpr (sizeof(P) == 1) return table_[value];
        return (static_cast<double>(value) - low_) / span_;
    }

   private:
    const WeightedF& task_;
    const int64_t image_;
    double low_, span_;
    P right_[2];
    double table_[sizeof(P) == 1 ? 256 : 1];
};

// Rows around the one that is weighed: their columns' heights, and errors as the blur sees them, both made on demand.
template <typename T>
struct Window {
    int64_t row;
    bool has_heights;
    T* heights;
    double* errors;
    uint8_t* has_errors;
};

template <typename T, typename P>
class Band {
   public:
    Band(const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last, int64_t* workspace)
        : image_(task, image),
          sought_(foreground(task)),
          weights_(weights),
          index_(image),
          width_(task.width),
          blocks_(blocks_of(task.width)),
          start_(first > blur_radius ? first - blur_radius : 0),
          end_(task.height - last > blur_radius ? last + blur_radius : task.height),
          ready_(start_) {
        Room room(workspace);
        const int64_t stride = row_stride(width_);
        passed_ = room.take<int32_t>(width_);
        nearest_ = room.take<int32_t>((end_ - start_) * stride);
        squares_ = room.take<T>(stride);
        columns_ = room.take<T>(stride);
        for (T*& bounds : bounds_) bounds = room.take<T>(stride);
        sums_ = no_errors(room.take<double>(stride + block));
        missed_ = room.take<uint8_t>(blocks_);
        false_ = room.take<uint8_t>(blocks_);
        for (Window<T>& window : windows_) {
            window.row = -1;
            window.heights = room.take<T>(stride);
            window.errors = no_errors(room.take<double>(stride + block));
            window.has_errors = room.take<uint8_t>(blocks_);
        }
    }

    // Passes over the rows upwards; then rows must be weighed downwards.
    void start(const int32_t* above, const int32_t* below) {
        for (int64_t row = end_ - 1; row >= start_; --row)
            pass(sought_, index_, row, row + 1 < end_ ? nearest(row + 1) : below, nearest(row));
        memcpy(passed_, above, static_cast<size_t>(width_) * sizeof(int32_t));
    }

    RowErrors weigh(int64_t row) {
        for (; ready_ < end_ && ready_ <= row + blur_radius; ++ready_) {
            pass(sought_, index_, ready_, passed_, passed_);
            join(passed_, ready_, width_, nearest(ready_));
        }
        RowErrors sums = {0, 0, find_errors(row)};
        if (any(missed_, 0, blocks_)) sums.missed = sum_missed(row);
        if (any(false_, 0, blocks_)) sums.false_positives = sum_false(row);
        return sums;
    }

   private:
    // A row of zeros that begins a block before its first pixel and ends behind its last: the blur reaches over the edges.
    double* no_errors(double* numbers) {
        memset(numbers, 0, static_cast<size_t>(row_stride(width_) + block) * sizeof(double));
        return numbers + block;
    }

    int32_t* nearest(int64_t row) { return nearest_ + (row - start_) * row_stride(width_); }

    int64_t pixels_of(int64_t i) const { return i + 1 < blocks_ ? block : width_ - i * block; }

    static bool any(const uint8_t* flags, int64_t first, int64_t last) {
        uint8_t found = 0;
        for (int64_t i = first; i < last; ++i) found |= flags[i];
        return found != 0;
    }

    // Flags the blocks that have errors, in foreground and in background; counts the foreground.
    int64_t find_errors(int64_t row) {
        const P* prediction = image_.prediction(row);
        const uint8_t* truth = image_.truth(row);
        const P right_false = image_.right(false), right_true = image_.right(true);
        int64_t count = 0;
        for (int64_t i = 0; i < blocks_; ++i) {
            const int64_t start = i * block, pixels = pixels_of(i);
            uint8_t missed = 0, wrong = 0, foreground = 0;
            const auto look = [&](int64_t x) {
                const uint8_t is_true = truth[x] != 0, is_right = prediction[x] == (is_true ? right_true : right_false);
                foreground = static_cast<uint8_t>(foreground + is_true);
                missed |= is_true & (is_right ^ 1);
                wrong |= (is_true ^ 1) & (is_right ^ 1);
            };
            if (pixels == block) {
                for (int64_t x = start; x < start + block; ++x) look(x);
            } else {
                for (int64_t x = start; x < start + pixels; ++x) look(x);
            }
            missed_[i] = missed;
            false_[i] = wrong;
            count += foreground;
        }
        return count;
    }

    Window<T>& window(int64_t row) {
        Window<T>& found = windows_[row % blurred_rows];
        if (found.row != row) {
            found.row = row;
            found.has_heights = false;
            memset(found.has_errors, 0, static_cast<size_t>(blocks_));
        }
        return found;
    }

    const T* heights(int64_t row) {
        Window<T>& own = window(row);
        if (!own.has_heights) find_heights(nearest(row), row, width_, farthest, own.heights);
        own.has_heights = true;
        return own.heights;
    }

    // Errors of a block as the blur sees them, zero where no foreground is within its reach.
    void find_errors_seen(int64_t row, int64_t i) {
        Window<T>& own = window(row);
        if (own.has_errors[i]) return;
        own.has_errors[i] = 1;
        const int64_t start = i * block, pixels = pixels_of(i);
        const uint8_t* truth = image_.truth(row) + start;
        const P* prediction = image_.prediction(row) + start;
        double* errors = own.errors + start;
        int64_t count = 0;
        for (int64_t x = 0; x < pixels; ++x) count += truth[x] != 0;
        if (count < pixels) return find_nearest_errors(row, start, pixels, errors);
        for (int64_t x = 0; x < pixels; ++x) errors[x] = 1 - image_.normalized(prediction[x]);
    }

    void find_nearest_errors(int64_t row, int64_t start, int64_t pixels, double* errors) {
        const int64_t reach = blur_radius + 1, first = start > reach ? start - reach : 0;
        const int64_t last = start + block + reach < width_ ? start + block + reach - 1 : width_ - 1;
        const T* heights_of_row = heights(row);
        for (int64_t x = 0; x < block; x += Vector<T>::lanes) {
            const auto at = first_numbers<T>() + static_cast<T>(start + x);
            const Best<T> best = search(heights_of_row, first, last, at);
            const auto square = best.height + at * at;
            memcpy(columns_ + x, &best.column, vector_bytes);
            memcpy(squares_ + x, &square, vector_bytes);
        }
        const int32_t* rows = nearest(row);
        for (int64_t x = 0; x < pixels; ++x) {
            const int64_t column = columns_[x];
            errors[x] = squares_[x] > corner ? 0 : 1 - image_.normalized(image_.prediction(rows[column])[column]);
        }
    }

    // The blur's sums over columns, for blocks that have errors in the foreground and those beside them.
    void add_columns(int64_t row) {
        using Lanes = typename Vector<double>::type;
        const int64_t first = row > blur_radius ? row - blur_radius : 0;
        const int64_t last = row + blur_radius < end_ ? row + blur_radius : end_ - 1;
        const double* weights = weights_.gaussian + first - row + blur_radius;
        const double* errors[blurred_rows];
        for (int64_t from = first; from <= last; ++from) errors[from - first] = window(from).errors;
        for (int64_t i = 0; i < blocks_; ++i) {
            if (!any(missed_, i > 0 ? i - 1 : 0, i + 2 < blocks_ ? i + 2 : blocks_)) continue;
            for (int64_t from = first; from <= last; ++from) find_errors_seen(from, i);
            for (int64_t x = i * block; x < (i + 1) * block; x += Vector<double>::lanes) {
                Lanes sum{};
                for (int64_t k = 0; k <= last - first; ++k) sum += weights[k] * loaded(errors[k] + x);
                memcpy(sums_ + x, &sum, vector_bytes);
            }
        }
    }

    static typename Vector<double>::type loaded(const double* numbers) {
        typename Vector<double>::type result;
        memcpy(&result, numbers, vector_bytes);
        return result;
    }

    // Errors of foreground that count: a pixel's own, or the blurred one if that is less.
    double sum_missed(int64_t row) {
        add_columns(row);
        const uint8_t* truth = image_.truth(row);
        const double* errors = window(row).errors;
        double sum = 0;
        for (int64_t i = 0; i < blocks_; ++i) {
            if (!missed_[i]) continue;
            double blurred[block], sums[8] = {};
            for (int64_t x = 0; x < block; x += Vector<double>::lanes) {
                typename Vector<double>::type total{};
                for (int64_t k = 0; k < blurred_rows; ++k)
                    total += weights_.gaussian[k] * loaded(sums_ + i * block + x + k - blur_radius);
                memcpy(blurred + x, &total, vector_bytes);
            }
            for (int64_t k = 0; k < pixels_of(i); ++k) {
                const double own = errors[i * block + k], least = own < blurred[k] ? own : blurred[k];
                sums[k % 8] += truth[i * block + k] ? least : 0;
            }
            sum += sum_of(sums);
        }
        return sum;
    }

    double sum_false(int64_t row) {
        solve(heights(row), width_, bounds_, squares_, columns_,
              [&](int64_t first, int64_t last) { return any(false_, first / block, blocks_of(last)); });
        const P* prediction = image_.prediction(row);
        const uint8_t* truth = image_.truth(row);
        double sum = 0;
        for (int64_t i = 0; i < blocks_; ++i) {
            if (!false_[i]) continue;
            double sums[8] = {};
            const int64_t start = i * block, pixels = pixels_of(i);
            for (int64_t k = 0; k < pixels; ++k) {
                const int64_t x = start + k, square = squares_[x] < weights_.last ? squares_[x] : weights_.last;
                const double error = image_.normalized(prediction[x]) * weights_.background[square];
                sums[k % 8] += truth[x] ? 0 : error;
            }
            sum += sum_of(sums);
        }
        return sum;
    }

    static double sum_of(const double* sums) {
        return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    }

    const Image<P> image_;
    const Sought sought_;
    const Weights& weights_;
    const int64_t index_, width_, blocks_, start_, end_;
    int64_t ready_;
    int32_t *passed_, *nearest_;
    T *squares_, *columns_, *bounds_[2];
    double* sums_;
    uint8_t *missed_, *false_;
    Window<T> windows_[blurred_rows];
};

template <typename T, typename P>
void weigh(const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last,
           const int32_t* above, const int32_t* below, int64_t* workspace, RowErrors* sums) {
    Band<T, P> band(task, weights, image, first, last, workspace);
    band.start(above, below);
    for (int64_t row = first; row < last; ++row) sums[row - first] = band.weigh(row);
}

}  // namespace

void pass_foreground_rows(const WeightedF& task, int64_t image, int64_t first, int64_t last, bool down, int32_t* rows) {
    pass_all(foreground(task), image, first, last, down, rows);
}

// Rows [first, last) of an image: `above` and `below` have each column's nearest foreground row outside the band and its
// halo of `blur_radius` rows.
void weigh_band(const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last,
                const int32_t* above, const int32_t* below, int64_t* workspace, RowErrors* sums) {
    const bool narrow = fits_32_bits(task.width, farthest);
    const Values values = task.pred.values;
    const auto run = values == Values::uint8     ? (narrow ? weigh<int32_t, uint8_t> : weigh<int64_t, uint8_t>)
                     : values == Values::float32 ? (narrow ? weigh<int32_t, float> : weigh<int64_t, float>)
                                                 : (narrow ? weigh<int32_t, double> : weigh<int64_t, double>);
    run(task, weights, image, first, last, above, below, workspace, sums);
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
