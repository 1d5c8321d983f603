// Weighted errors of the rows of a band, in words of 64 pixels; words without an error are passed over.
#include "weighted_f_measure.h"

#include "instruction_set.h"
#include "weighted_f_blur.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

template <typename P>
class Band {
   public:
    Band(const WeightedF& task, const Weights& weights, int64_t image, int64_t first, int64_t last, int64_t* workspace)
        : image_(task, image),
          background_(weights.background),
          width_(task.width),
          words_(words_of(task.width)),
          room_(workspace),
          distances_(first > blur_radius ? first - blur_radius : 0,
                     task.height - last > blur_radius ? last + blur_radius : task.height, width_, room_),
          heights_(width_, room_),
          blur_(image_, distances_, weights.gaussian, width_, room_),
          missed_(room_.take<uint64_t>(words_)),
          wrong_(room_.take<uint64_t>(words_)) {}

    // Then rows must be weighed downwards.
    void start(const int32_t* above, const int32_t* below) {
        distances_.start(image_.truths, image_.truth_stride, above, below);
    }

    RowErrors weigh(int64_t row) {
        distances_.complete(row + blur_radius);
        RowErrors sums = {0, 0, find_errors(row)};
        const double span = static_cast<double>(less(image_.high, image_.low));
        if (any(missed_)) sums.missed = blur_.sum(row, missed_) / span;
        if (any(wrong_)) sums.false_positives = sum_wrong(row) / span;
        return sums;
    }

   private:
    bool any(const uint64_t* bits) const {
        uint64_t found = 0;
        for (int64_t i = 0; i < words_; ++i) found |= bits[i];
        return found != 0;
    }

    int64_t pixels_of(int64_t i) const { return i + 1 < words_ ? 64 : width_ - 64 * i; }

    // Bits of the pixels that have errors, in the foreground and in the background; counts the foreground.
    int64_t find_errors(int64_t row) {
        const P *prediction = image_.prediction(row), low = image_.low, high = image_.high;
        const uint8_t* truth = image_.truth(row);
        int64_t count = 0;
        for (int64_t i = 0; i < words_; ++i, prediction += 64, truth += 64) {
            const int64_t pixels = pixels_of(i);
            alignas(64) uint8_t differs[64] = {};
            for_each_of(pixels, [&](int64_t x) { differs[x] = prediction[x] != (truth[x] ? high : low); });
            const uint64_t is_true = pixels == 64 ? pack(truth) : pack_rest(truth, pixels), errors = pack(differs);
            missed_[i] = errors & is_true;
            wrong_[i] = errors & ~is_true;
            count += count_bits(is_true);
        }
        return count;
    }

    // Errors of the background by their weights, in units of the predictions.
    double sum_wrong(int64_t row) {
        heights_.find(distances_.of(row), width_);
        Numbers sums{};
        for (int64_t i = 0; i < words_; ++i)
            if (wrong_[i]) sums += sum_wrong(row, i);
        return sum_of(sums);
    }

    Numbers sum_wrong(int64_t row, int64_t i) {
        const uint8_t* distance = distances_.of(row) + 64 * i;
        const P *prediction = image_.prediction(row) + 64 * i, right = image_.low;
        const double* background = background_;
        alignas(64) P values[64];
        alignas(64) double amounts[64], weights[lanes];
        alignas(64) uint16_t squares[lanes];
        for (int64_t x = 0; x < 64; ++x) values[x] = right;
        for_each_of(pixels_of(i), [&](int64_t x) {
            const P value = prediction[x];
            values[x] = distance[x] ? value : right;
        });
        for (int64_t x = 0; x < 64; ++x) amounts[x] = less(values[x], right);
        Numbers sums{};
        for (int64_t x = 0; x < 64; x += lanes) {
            const uint64_t wrong = wrong_[i] >> x & low_bits<uint64_t>(lanes);
            if (!wrong) continue;
            const Squares found = heights_.search(64 * i + x, wrong);
            memcpy(squares, &found, sizeof(squares));
            for (int64_t k = 0; k < lanes; ++k) weights[k] = background[squares[k]];
            for (int64_t k = 0; k < lanes; k += at_once) sums += loaded(amounts + x + k) * loaded(weights + k);
        }
        return sums;
    }

    const Image<P> image_;
    const double* background_;
    const int64_t width_, words_;
    Room room_;
    Distances distances_;
    Heights heights_;
    Blur<P> blur_;
    uint64_t *missed_, *wrong_;
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

// Rows [first, last) of an image: `above` and `below` have each column's nearest row of the foreground outside the band
// and its halo of `blur_radius` rows.
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
