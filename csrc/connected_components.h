// Connected components of masks: two scans over runs of pixels.
#pragma once

#include "images.h"

namespace dislayers {

// `labels` is dense, `counts` has one for each image.
struct Labelling {
    Masks mask;
    int32_t* labels;
    int64_t* counts;
    int64_t batch, height, width;
    bool diagonal;
};

namespace {

// Ends a row of runs: a run that lies right of everything.
constexpr int32_t beyond = INT32_MAX;
// Columns that may be written behind the last one.
constexpr int64_t overshoot = 16;

// The most runs of an image, one behind each row and one before the first included.
inline int64_t most_runs(int64_t height, int64_t width) { return 1 + height * ((width + 1) / 2 + 1); }

}  // namespace

// Scratch for the runs of one image, row by row: the columns where each starts and ends (2 most_runs + overshoot), the
// connected run before it or itself (most_runs), and the first run of each row and behind the last (height + 1).
struct Runs {
    int32_t* columns;
    int32_t* parent;
    int64_t* first;
};

}  // namespace dislayers
