// Best thresholds on the CPU: rows of patches over threads.
#include <algorithm>
#include <cmath>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"

namespace dislayers {

VARIANTS(encode_patches, const PatchThresholds& task, int64_t image, int64_t top, const Levels& levels)
VARIANTS(count_codes, const PatchThresholds& task, const Patch& patch, CodeCounts& total)
VARIANTS(decode_patch, const PatchThresholds& task, const Patch& patch, uint8_t least)

namespace {

// Pixels below which a second thread costs more than it brings (about 0.1 ms).
constexpr int64_t pixels_for_a_thread = 1 << 18;

double level(int k) { return k / static_cast<double>(Levels::count); }

Levels rounded_down() {
    Levels all;
    for (int k = 0; k < Levels::count; ++k) {
        const float nearest = static_cast<float>(level(k));
        all.of_uint8[k] = static_cast<uint8_t>(k * 255 / Levels::count);
        all.of_float32[k] = static_cast<double>(nearest) > level(k) ? std::nextafter(nearest, 0.0f) : nearest;
        all.of_float64[k] = level(k);
    }
    return all;
}

struct Choice {
    int k;
    double score;
};

double share(int64_t part, int64_t whole) {
    return whole ? static_cast<double>(part) / static_cast<double>(whole) : 1.0;
}

// Scores of the levels from 1 on.
void score(const CodeCounts& total, bool both_classes, double* scores) {
    int64_t background = 0, foreground = 0;
    for (int code = 0; code < CodeCounts::codes; code += 2)
        background += total.of[code], foreground += total.of[code + 1];
    int64_t rejected = total.of[0], missed = total.of[1];  // of background and foreground, up to the level
    for (int k = 1; k < Levels::count; ++k) {
        rejected += total.of[2 * k];
        missed += total.of[2 * k + 1];
        scores[k] = share(foreground - missed, foreground + background - rejected);
        if (both_classes) scores[k] = (scores[k] + share(rejected, background + missed)) / 2;
    }
}

Choice choose(const CodeCounts& total, bool both_classes, bool nearest_half) {
    double scores[Levels::count];
    score(total, both_classes, scores);
    Choice best = {0, -1};
    for (int i = 1; i < Levels::count; ++i) {
        const int k = !nearest_half ? i : Levels::count / 2 + (i % 2 ? i / 2 : -i / 2);
        if (scores[k] > best.score) best = {k, scores[k]};
    }
    return best;
}

}  // namespace

void patch_threshold_cpu(const PatchThresholds& task, int64_t threads, int instruction_set) {
    const Levels levels = rounded_down();
    const int64_t rows = task.height / task.side, columns = task.width / task.side;
    const int64_t useful = std::clamp(task.batch * task.height * task.width / pixels_for_a_thread, int64_t(1), threads);
    for_each_task(task.batch * rows, useful, [&](int64_t, const auto& next) {
        for (int64_t row = next(); row >= 0; row = next()) {
            const int64_t image = row / rows, top = row % rows * task.side;
            encode_patches_variants[instruction_set](task, image, top, levels);
            for (int64_t column = 0; column < columns; ++column) {
                const Patch patch = {image, top, column * task.side};
                CodeCounts total;
                count_codes_variants[instruction_set](task, patch, total);
                const Choice best = choose(total, task.both_classes, task.nearest_half);
                const int k = best.k - task.literal;
                decode_patch_variants[instruction_set](task, patch, static_cast<uint8_t>(2 * (k + 1)));
                task.threshold[row * columns + column] = static_cast<float>(level(k));
                task.iou[row * columns + column] = static_cast<float>(best.score);
            }
        }
    });
}

}  // namespace dislayers
