// The human correction effort of predicted masks: clicks that correct them.
#pragma once

#include "contours.h"
#include "framed.h"
#include "images.h"

namespace dislayers {

// `skeleton`, that of the truth, may have no pixels. `clicks` gets four numbers an image: points and regions of false
// positives, points and regions of false negatives.
struct Effort {
    Masks pred, truth, skeleton;
    int64_t batch, height, width;
    int64_t relax;
    Tolerance tolerance;
    int64_t* clicks;
};

// The planes of one image: a pixel takes a bit of each, all lie in frames of zeros.
struct EffortPlanes {
    Frame frame;
    uint64_t *pred, *truth, *skeleton;
    // What is wrong, then what of it has to be corrected.
    uint64_t *false_positive, *false_negative;
    uint64_t* scratch[3];
    // A row that is set where the image is.
    uint64_t* inside;
};

}  // namespace dislayers
