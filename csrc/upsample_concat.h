// Bilinear upsampling into the first channels of a map of which the others are a skip connection's.
#pragma once

#include "bilinear.h"
#include "feature_map.h"

namespace dislayers {

// The maps lie alike: channels of each side by side, or columns.
struct UpsampleConcat {
    FeatureMap low, full, skip;  // backward, low gets what full holds, and there is no skip
    int64_t batch, channels, skip_channels, height, width, full_height, full_width;
    bool channels_last;
};

// The other way round: low number i gets share[t] of full number first[i] + t - begin[i], for t from begin[i] to
// begin[i + 1] - 1.
struct Shares {
    const int32_t* first;
    const int32_t* begin;
    const float* share;
};

// Rows first to last - 1, of all channels if these lie side by side, else of one.
struct UpsampleBand {
    Axis rows, columns;
    Shares of_rows, of_columns;
    int64_t sample, channel, first, last;
};

namespace {

constexpr int64_t room_of_full_row(int64_t width) { return width + 2 * full_margin; }

}  // namespace

}  // namespace dislayers
