// Bands of rows. With channels side by side, pixels are mixed as vectors; with columns side by side, rows are, and are
// resized one by one.
#include "upsample_concat.h"

#include "bilinear.simd.h"
#include "instruction_set.h"
#include "partial_lanes.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// Numbers from a place on: as many as a vector has, or the first of these.
struct Whole {
    int64_t place;

    Lanes operator()(const float* from) const { return load_lanes(from + place); }
    void store(float* to, const Lanes& numbers) const { store_lanes(to + place, numbers); }
};

struct Part {
    int64_t place, count;

    Lanes operator()(const float* from) const { return load_first(from + place, count); }
    void store(float* to, const Lanes& numbers) const { store_first(to + place, numbers, count); }
};

template <typename Visit>
inline void for_each_vector(int64_t count, const Visit& visit) {
    int64_t i = 0;
    for (; i <= count - lanes; i += lanes) visit(Whole{i});
    if (i < count) visit(Part{i, count - i});
}

void copy(const float* from, float* to, int64_t count) {
    if (count > 0) memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

float* row_of(const FeatureMap& map, const UpsampleBand& band, int64_t y) {
    return map.data + band.sample * map.batch_stride + band.channel * map.channel_stride + y * map.row_stride;
}

int64_t next_on(const Axis& axis, int64_t i) { return i + 1 < axis.low ? i + 1 : i; }

// Two low rows, and the share of the second.
struct Between {
    const float *above, *below;
    float weight;

    // `count` numbers from `place` on.
    void mix(float* to, int64_t place, int64_t count) const {
        for_each_vector(count, [&](const auto& at) {
            at.store(to, broadcast(1.0f - weight) * at(above + place) + broadcast(weight) * at(below + place));
        });
    }
};

// The pixels of a full row, from those of a row that lies where it does; beside each stands one of the skip connection.
// They are written one after the other, in the order of memory.
void widen_pixels(const UpsampleConcat& task, const Axis& columns, const float* low, const float* skip, float* out) {
    const int64_t channels = task.channels;
    for (int64_t j = 0; j < columns.low; ++j) {
        const float *const left = low + j * channels, *const right = low + next_on(columns, j) * channels;
        for (int64_t x = columns.begin[j]; x < columns.begin[j + 1]; ++x) {
            float* const pixel = out + x * task.full.column_stride;
            Between{left, right, columns.weight[x]}.mix(pixel, 0, channels);
            copy(skip + x * task.skip.column_stride, pixel + channels, task.skip_channels);
        }
    }
}

void upsample_pixels(const UpsampleConcat& task, const UpsampleBand& band, float* low) {
    const int64_t channels = task.channels, step = task.low.column_stride;
    int64_t i = 0;
    for (int64_t y = band.first; y < band.last; ++y) {
        while (band.rows.begin[i + 1] <= y) ++i;
        const Between rows = {row_of(task.low, band, i), row_of(task.low, band, next_on(band.rows, i)),
                              band.rows.weight[y]};
        if (step == channels) {
            rows.mix(low, 0, task.width * channels);
        } else {
            for (int64_t j = 0; j < task.width; ++j) rows.mix(low + j * channels, j * step, channels);
        }
        widen_pixels(task, band.columns, low, row_of(task.skip, band, y), row_of(task.full, band, y));
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
        wide.at(i, band.rows.weight[y]).mix(row_of(task.full, band, y), 0, task.full_width);
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
    for (int64_t j = 0; j < task.width; ++j)
        for_each_vector(task.channels, [&](const auto& at) {
            auto sum = broadcast(0);
            const float* row = above + columns.first[j] * step;
            for (int64_t s = rows.begin[i]; s < rows.begin[i + 1]; ++s, row += row_step) {
                const float* pixel = row;
                for (int64_t t = columns.begin[j]; t < columns.begin[j + 1]; ++t, pixel += step)
                    sum += broadcast(rows.share[s] * columns.share[t]) * at(pixel);
            }
            at.store(out + j * task.low.column_stride, sum);
        });
}

// Likewise: full rows times their shares, and then along the row; the margins of the full row are 0.
void gather_row(const UpsampleConcat& task, const UpsampleBand& band, int64_t i, float* full, float* padded) {
    const Shares& rows = band.of_rows;
    const bool wider = task.width != task.full_width;
    float* const out = row_of(task.low, band, i);
    const float* const above = row_of(task.full, band, rows.first[i]);
    for_each_vector(task.full_width, [&](const auto& at) {
        auto sum = broadcast(0);
        const float* row = above;
        for (int64_t s = rows.begin[i]; s < rows.begin[i + 1]; ++s, row += task.full.row_stride)
            sum += broadcast(rows.share[s]) * at(row);
        at.store(wider ? full : out, sum);
    });
    if (wider) dislayers::gather(band.columns, full, padded, out);
}

}  // namespace

void upsample_band(const UpsampleConcat& task, const UpsampleBand& band, float* room) {
    if (task.channels_last) return upsample_pixels(task, band, room);
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
