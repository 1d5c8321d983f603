// Bands of rows. With channels side by side, pixels are mixed as vectors; with columns side by side, rows are, and are
// resized one by one.
#include "upsample_concat.h"

#include "bilinear.simd.h"
#include "instruction_set.h"
#include "lanes.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

inline Lanes broadcast(float number) {
    Lanes all;
    for (int64_t i = 0; i < lanes; ++i) all[i] = number;
    return all;
}

struct LoadAll {
    int64_t place;
    Lanes operator()(const float* from) const { return load_lanes(from + place); }
};

struct LoadSome {
    int64_t count;
    Lanes operator()(const float* from) const {
        Lanes loaded = {};
        memcpy(&loaded, from, static_cast<size_t>(count) * sizeof(float));
        return loaded;
    }
};

// Writes `count` numbers, a vector at a time; compute(load) makes a vector of what load gives of any addresses. The last
// vector may overlap the one before.
template <typename Compute>
inline void fill(float* to, int64_t count, const Compute& compute) {
    if (count < lanes) {
        const Lanes made = compute(LoadSome{count});
        memcpy(to, &made, static_cast<size_t>(count) * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i += lanes) {
        const int64_t place = i < count - lanes ? i : count - lanes;
        store_lanes(to + place, compute(LoadAll{place}));
    }
}

inline void copy(const float* from, float* to, int64_t count) {
    fill(to, count, [&](const auto& load) { return load(from); });
}

float* row_of(const FeatureMap& map, const UpsampleBand& band, int64_t y) {
    return map.data + band.sample * map.batch_stride + band.channel * map.channel_stride + y * map.row_stride;
}

int64_t next_on(const Axis& axis, int64_t i) { return i + 1 < axis.low ? i + 1 : i; }

// Two rows of low pixels, and the share of the second.
struct Between {
    const float *above, *below;
    float weight;
};

// The pixels of a full row; beside each stands one of the skip connection.
void mix_pixels(const UpsampleConcat& task, const Axis& columns, const Between& rows, const float* skip, float* out) {
    const int64_t step = task.low.column_stride, channels = task.channels;
    for (int64_t j = 0; j < columns.low; ++j) {
        const int64_t left = j * step, right = next_on(columns, j) * step;
        for (int64_t x = columns.begin[j]; x < columns.begin[j + 1]; ++x) {
            const float weight = columns.weight[x];
            const Lanes above_left = broadcast((1.0f - rows.weight) * (1.0f - weight));
            const Lanes above_right = broadcast((1.0f - rows.weight) * weight);
            const Lanes below_left = broadcast(rows.weight * (1.0f - weight));
            const Lanes below_right = broadcast(rows.weight * weight);
            fill(out + x * task.full.column_stride, channels, [&](const auto& load) {
                return above_left * load(rows.above + left) + above_right * load(rows.above + right) +
                       below_left * load(rows.below + left) + below_right * load(rows.below + right);
            });
            copy(skip + x * task.skip.column_stride, out + x * task.full.column_stride + channels, task.skip_channels);
        }
    }
}

void copy_pixels(const UpsampleConcat& task, const float* low, const float* skip, float* out) {
    for (int64_t x = 0; x < task.full_width; ++x) {
        float* const pixel = out + x * task.full.column_stride;
        copy(low + x * task.low.column_stride, pixel, task.channels);
        copy(skip + x * task.skip.column_stride, pixel + task.channels, task.skip_channels);
    }
}

bool is_resized(const UpsampleConcat& task) {
    return task.height != task.full_height || task.width != task.full_width;
}

void upsample_pixels(const UpsampleConcat& task, const UpsampleBand& band) {
    int64_t i = 0;
    for (int64_t y = band.first; y < band.last; ++y) {
        while (band.rows.begin[i + 1] <= y) ++i;
        const float* const above = row_of(task.low, band, i);
        const float* const skip = row_of(task.skip, band, y);
        float* const out = row_of(task.full, band, y);
        if (!is_resized(task)) {
            copy_pixels(task, above, skip, out);
        } else {
            const Between rows = {above, row_of(task.low, band, next_on(band.rows, i)), band.rows.weight[y]};
            mix_pixels(task, band.columns, rows, skip, out);
        }
    }
}

// Low rows as wide as the full ones: those that the next full row lies between.
class WideRows {
   public:
    WideRows(const UpsampleConcat& task, const UpsampleBand& band, float* room)
        : task_(task), band_(band), first_(room + full_margin), second_(first_ + room_of_full_row(task.full_width)),
          padded_(second_ + room_of_full_row(task.full_width) - full_margin) {}

    Between at(int64_t i, float weight) {
        const int64_t below = next_on(band_.rows, i);
        if (i != number_) {
            if (i == below_) {
                float* const reused = second_;
                second_ = first_, first_ = reused;
            } else {
                widen(i, first_);
            }
            if (below != i) widen(below, second_);
            number_ = i, below_ = below;
        }
        return {first_, below == i ? first_ : second_, weight};
    }

   private:
    void widen(int64_t i, float* to) const {
        const float* const row = row_of(task_.low, band_, i);
        if (task_.width == task_.full_width) return copy(row, to, task_.width);
        resize(band_.columns, row, padded_, to);
    }

    const UpsampleConcat& task_;
    const UpsampleBand& band_;
    float *first_, *second_, *const padded_;
    int64_t number_ = -1, below_ = -1;
};

void upsample_rows(const UpsampleConcat& task, const UpsampleBand& band, float* room) {
    WideRows wide(task, band, room);
    int64_t i = 0;
    for (int64_t y = band.first; y < band.last; ++y) {
        while (band.rows.begin[i + 1] <= y) ++i;
        float* const out = row_of(task.full, band, y);
        const Between rows = wide.at(i, band.rows.weight[y]);
        if (rows.weight == 0) {
            copy(rows.above, out, task.full_width);
            continue;
        }
        const Lanes upper = broadcast(1.0f - rows.weight), lower = broadcast(rows.weight);
        fill(out, task.full_width,
             [&](const auto& load) { return upper * load(rows.above) + lower * load(rows.below); });
    }
}

void copy_rows(const UpsampleConcat& task, UpsampleBand band) {
    float* const out = row_of(task.full, band, band.first);
    band.channel -= task.channels;
    const float* const skip = row_of(task.skip, band, band.first);
    const int64_t rows = band.last - band.first, width = task.full_width;
    if (task.skip.row_stride == width && task.full.row_stride == width) {
        memcpy(out, skip, static_cast<size_t>(rows * width) * sizeof(float));
        return;
    }
    for (int64_t y = 0; y < rows; ++y) copy(skip + y * task.skip.row_stride, out + y * task.full.row_stride, width);
}

// The gradients of a low row: full pixels times their shares.
void gather_pixels(const UpsampleConcat& task, const UpsampleBand& band, int64_t i) {
    const Shares &rows = band.of_rows, &columns = band.of_columns;
    const int64_t row_step = task.full.row_stride, step = task.full.column_stride;
    const float* const above = row_of(task.full, band, rows.first[i]);
    float* const out = row_of(task.low, band, i);
    for (int64_t j = 0; j < task.width; ++j) {
        const float* const left = above + columns.first[j] * step;
        fill(out + j * task.low.column_stride, task.channels, [&](const auto& load) {
            Lanes sum = {};
            const float* row = left;
            for (int64_t s = rows.begin[i]; s < rows.begin[i + 1]; ++s, row += row_step) {
                const float* pixel = row;
                for (int64_t t = columns.begin[j]; t < columns.begin[j + 1]; ++t, pixel += step)
                    sum += broadcast(rows.share[s] * columns.share[t]) * load(pixel);
            }
            return sum;
        });
    }
}

// Likewise: full rows times their shares, and then along the row; the margins of the full row are 0.
void gather_row(const UpsampleConcat& task, const UpsampleBand& band, int64_t i, float* full, float* padded) {
    const Shares& rows = band.of_rows;
    const bool wider = task.width != task.full_width;
    float* const out = row_of(task.low, band, i);
    const float* const above = row_of(task.full, band, rows.first[i]);
    fill(wider ? full : out, task.full_width, [&](const auto& load) {
        Lanes sum = {};
        const float* row = above;
        for (int64_t s = rows.begin[i]; s < rows.begin[i + 1]; ++s, row += task.full.row_stride)
            sum += broadcast(rows.share[s]) * load(row);
        return sum;
    });
    if (wider) dislayers::gather(band.columns, full, padded, out);
}

}  // namespace

void upsample_band(const UpsampleConcat& task, const UpsampleBand& band, float* room) {
    if (task.channels_last) return upsample_pixels(task, band);
    if (band.channel < task.channels) return upsample_rows(task, band, room);
    copy_rows(task, band);
}

void gather_band(const UpsampleConcat& task, const UpsampleBand& band, float* room) {
    float* const full = room + full_margin;
    float* const padded = room + room_of_full_row(task.full_width);
    if (!task.channels_last) memset(room, 0, static_cast<size_t>(room_of_full_row(task.full_width)) * sizeof(float));
    for (int64_t i = band.first; i < band.last; ++i) {
        if (task.channels_last) {
            gather_pixels(task, band, i);
        } else {
            gather_row(task, band, i, full, padded);
        }
    }
}

}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
