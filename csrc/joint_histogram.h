// Joint histograms of predictions and truths.
#pragma once

#include "images.h"

namespace dislayers {

// `counts` is dense, (batch, 2, bins).
struct JointCounting {
    Predictions pred;
    Masks gt;
    int64_t* counts;
    int64_t batch, height, width;
    int64_t bins;
};

namespace {

// Values that are told apart while counting: all of uint8, which are put into bins at the end.
inline int64_t steps_of(const JointCounting& task) { return task.pred.values == Values::uint8 ? 256 : task.bins; }

// Counts that the rows of a band need, several for each result: pixels of one value in a row would wait for each other.
constexpr int64_t ways = 4;
inline int64_t joint_counts(const JointCounting& task) { return ways * 2 * steps_of(task); }

}  // namespace

}  // namespace dislayers
