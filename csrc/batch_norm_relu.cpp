// Batch normalisation, ReLU and pooling on the CPU: patches over threads. What patches add up is joined in their order,
// so that the number of threads changes nothing.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"

namespace dislayers {

VARIANTS(sum_values, const BatchNormRelu& task, const NormPatch& patch, float* sums)
VARIANTS(normalize_values, const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch)
VARIANTS(sum_gradients, const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch,
         float* sums)
VARIANTS(write_gradients, const BatchNormRelu& task, const ChannelParameters& parameters, const NormPatch& patch)

namespace {

// Numbers of a patch, which should stay in a core's cache; and its pixels, of which each adds to sums in float32.
constexpr int64_t numbers_of_a_patch = 1 << 15, fewest_pixels = 64, most_pixels = 512;

// Pixels of a patch of one channel: these add to 16 or more sums.
constexpr int64_t pixels_of_a_plane = 1 << 12;

// Numbers of a map below which a second thread costs more than it brings (about 0.1 ms).
constexpr int64_t numbers_for_a_thread = 1 << 17;

constexpr FeatureMap BatchNormRelu::*all_maps[] = {
    &BatchNormRelu::x,     &BatchNormRelu::residual, &BatchNormRelu::out, &BatchNormRelu::pooled,
    &BatchNormRelu::d_out, &BatchNormRelu::d_pooled, &BatchNormRelu::d_x, &BatchNormRelu::d_residual};

// A pass over maps, cut into patches.
struct Pass {
    BatchNormRelu task;
    int64_t patches, threads;  // patches of a channel, or of all
    int64_t rows, columns, patches_of_a_row, patches_of_a_sample;

    Pass(const BatchNormRelu& whole, int64_t most_threads) : task(whole) {
        const bool windows = task.pooled.data || task.d_pooled.data;
        if (!windows) join_rows();
        const int64_t height = windows ? (task.height + 1) / 2 : task.height;
        const int64_t width = windows ? (task.width + 1) / 2 : task.width;
        int64_t pixels = pixels_of_a_plane;
        if (task.channels_last)
            pixels = std::min(std::max(numbers_of_a_patch / task.channels, fewest_pixels), most_pixels);
        if (windows) pixels /= 4;
        columns = std::min(width, pixels);
        rows = std::min(height, pixels / columns);
        patches_of_a_row = (width + columns - 1) / columns;
        patches_of_a_sample = (height + rows - 1) / rows * patches_of_a_row;
        patches = patches_of_a_sample * task.batch;
        const int64_t numbers = task.batch * task.channels * task.height * task.width;
        threads = std::min(most_threads, numbers / numbers_for_a_thread + 1);
        last_row = height, last_column = width;
    }

    // Calls work(patch, the number of its pixels).
    template <typename Work>
    void run(const Work& work) const {
        const int64_t planes = task.channels_last ? 1 : task.channels;
        for_each_task(patches * planes, threads, [&](int64_t, const auto& next) {
            for (int64_t i = next(); i >= 0; i = next()) {
                const int64_t channel = i / patches_of_a_sample % planes;
                const int64_t sample = i / patches_of_a_sample / planes, place = i % patches_of_a_sample;
                const int64_t number = sample * patches_of_a_sample + place;
                work(patch(number, channel), number);
            }
        });
    }

    NormPatch patch(int64_t number, int64_t channel) const {
        const int64_t sample = number / patches_of_a_sample, place = number % patches_of_a_sample;
        const int64_t top = place / patches_of_a_row * rows, left = place % patches_of_a_row * columns;
        return {sample, channel, top, std::min(top + rows, last_row), left, std::min(left + columns, last_column)};
    }

   private:
    // Pixels in one row where memory has them so, and of all samples where channels come last.
    void join_rows() {
        const int64_t width = task.width * task.height;
        bool rows_meet = true, samples_meet = task.channels_last;
        for (const auto member : all_maps) {
            const FeatureMap& map = task.*member;
            if (!map.data) continue;
            const int64_t column = task.channels_last ? map.column_stride : 1;
            if (task.height > 1 && map.row_stride != task.width * column) rows_meet = false;
            if (task.batch > 1 && map.batch_stride != width * column) samples_meet = false;
        }
        if (!rows_meet) return;
        task.width = width, task.height = 1;
        if (samples_meet) task.width *= task.batch, task.batch = 1;
    }

    int64_t last_row, last_column;
};

// Numbers of each channel, several in a row.
class Rows {
   public:
    Rows(int64_t rows, int64_t channels)
        : channels_(channels), numbers_(new float[static_cast<size_t>(rows * channels)]) {}
    float* operator[](int64_t row) const { return numbers_.get() + row * channels_; }

   private:
    int64_t channels_;
    std::unique_ptr<float[]> numbers_;
};

// 1 / sqrt(variance + eps) of each channel, and times the weight.
Rows scales_of(const BatchNormRelu& task) {
    Rows scales(2, task.channels);
    float *const reciprocal = scales[0], *const scale = scales[1];
    const float eps = static_cast<float>(task.eps);
    for (int64_t c = 0; c < task.channels; ++c) reciprocal[c] = 1 / std::sqrt(task.variance[c] + eps);
    for (int64_t c = 0; c < task.channels; ++c) scale[c] = task.weight[c] * reciprocal[c];
    return scales;
}

void find_statistics(const BatchNormRelu& whole, int64_t threads, int instruction_set) {
    BatchNormRelu task = whole;
    task.residual.data = task.out.data = task.pooled.data = nullptr;
    const Pass pass(task, threads);
    const int64_t channels = task.channels;
    const Rows sums(3 * pass.patches, channels);
    pass.run([&](const NormPatch& patch, int64_t number) {
        sum_values_variants[instruction_set](pass.task, patch, sums[3 * number]);
    });
    std::vector<double> means(static_cast<size_t>(channels)), squares(static_cast<size_t>(channels));
    double count = 0;
    for (int64_t i = 0; i < pass.patches; ++i) {
        const NormPatch patch = pass.patch(i, 0);
        const double more = static_cast<double>((patch.bottom - patch.top) * (patch.right - patch.left));
        count += more;
        const double part = more / count, spread = part * (count - more), each = 1 / more;
        const float *shift = sums[3 * i], *sum = sums[3 * i + 1], *square = sums[3 * i + 2];
        for (int64_t c = 0; c < channels; ++c) {
            const size_t place = static_cast<size_t>(c);
            const double offset = sum[c] * each, apart = shift[c] + offset - means[place];
            means[place] += apart * part;
            squares[place] += square[c] - sum[c] * offset + apart * apart * spread;
        }
    }
    for (int64_t c = 0; c < channels; ++c) {
        const double spread = squares[static_cast<size_t>(c)] / count;
        task.mean[c] = static_cast<float>(means[static_cast<size_t>(c)]);
        task.variance[c] = static_cast<float>(spread < 0 ? 0 : spread);
    }
}

}  // namespace

void normalize_relu_cpu(const BatchNormRelu& task, int64_t threads, int instruction_set) {
    const Rows scales = scales_of(task);
    const ChannelParameters parameters = {task.mean, scales[1], task.bias, nullptr, nullptr};
    const Pass pass(task, threads);
    pass.run([&](const NormPatch& patch, int64_t) {
        normalize_values_variants[instruction_set](pass.task, parameters, patch);
    });
}

void batch_norm_relu_cpu(const BatchNormRelu& task, int64_t threads, int instruction_set) {
    find_statistics(task, threads, instruction_set);
    normalize_relu_cpu(task, threads, instruction_set);
}

void batch_norm_relu_backward_cpu(const BatchNormRelu& task, int64_t threads, int instruction_set) {
    const int64_t channels = task.channels;
    const Rows scales = scales_of(task);
    const Rows slopes(2, channels);
    const ChannelParameters parameters = {task.mean, scales[1], task.bias, slopes[0], slopes[1]};
    BatchNormRelu first = task, second = task;
    first.d_x.data = nullptr;
    const Pass pass(first, threads);
    const Rows sums(2 * pass.patches, channels);
    pass.run([&](const NormPatch& patch, int64_t number) {
        sum_gradients_variants[instruction_set](pass.task, parameters, patch, sums[2 * number]);
    });
    std::vector<double> of_bias(static_cast<size_t>(channels)), of_scale(static_cast<size_t>(channels));
    for (int64_t i = 0; i < pass.patches; ++i) {
        const float *bias = sums[2 * i], *scale = sums[2 * i + 1];
        for (int64_t c = 0; c < channels; ++c) {
            of_bias[static_cast<size_t>(c)] += bias[c];
            of_scale[static_cast<size_t>(c)] += scale[c];
        }
    }
    const double each = 1 / static_cast<double>(task.batch * task.height * task.width);
    const float *const reciprocal = scales[0], *const scale = scales[1];
    for (int64_t c = 0; c < channels; ++c) {
        const double bias = of_bias[static_cast<size_t>(c)], weight = of_scale[static_cast<size_t>(c)] * reciprocal[c];
        task.d_bias[c] = static_cast<float>(bias);
        task.d_weight[c] = static_cast<float>(weight);
        slopes[0][c] = static_cast<float>(-each * weight * reciprocal[c] * scale[c]);
        slopes[1][c] = static_cast<float>(-each * bias * scale[c]);
    }
    // Where a residual was pooled too, the first pass left what windows give.
    if (second.d_residual.data) second.d_out = second.d_residual, second.d_pooled.data = nullptr;
    second.residual.data = second.d_residual.data = nullptr;
    const Pass writing(second, threads);
    writing.run([&](const NormPatch& patch, int64_t) {
        write_gradients_variants[instruction_set](writing.task, parameters, patch);
    });
}

}  // namespace dislayers
