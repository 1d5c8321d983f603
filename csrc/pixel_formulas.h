// The losses that sum terms over pixels.
#pragma once

namespace dislayers {

enum class Formula : int { bce, iou, bce_iou, focal, normalized_focal };

// Their names in Python, and how many options and sums each has.
struct FormulaShape {
    const char* name;
    int options, sums, coefficients;
};
constexpr FormulaShape formula_shapes[] = {
    {"bce", 0, 1, 1}, {"iou", 0, 2, 2}, {"bce_iou", 2, 3, 3}, {"focal", 3, 1, 1}, {"normalized_focal", 3, 2, 1},
};
constexpr int most_sums = 3, most_options = 3;

}  // namespace dislayers
