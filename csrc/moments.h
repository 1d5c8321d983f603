// Moments of masks.
#pragma once

#include "images.h"

namespace dislayers {

// `sums` is dense, (batch, 3): set pixels, their rows, their columns.
struct Summation {
    Masks mask;
    int64_t* sums;
    int64_t batch, height, width;
};

}  // namespace dislayers
