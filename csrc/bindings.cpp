// dislayers._C: addresses, sizes, strides and a stream come from Python, which owns every tensor and checked it. What
// numbers alone can tell to be wrong is refused here once more.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "api.h"
#include "instruction_set.h"

namespace py = pybind11;
using namespace py::literals;
using namespace dislayers;

namespace {

using Size = std::tuple<int64_t, int64_t, int64_t>;
using Strides = std::pair<int64_t, int64_t>;

void expect(bool holds, const char* expected) {
    if (!holds) throw std::invalid_argument(expected);
}

template <typename T>
T* optional(uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

template <typename T>
T* required(uintptr_t address) {
    expect(address, "addresses of tensors are expected, got null");
    return optional<T>(address);
}

Masks optional_masks(uintptr_t address, Strides strides) {
    return {optional<const uint8_t>(address), strides.first, strides.second};
}

Masks masks(uintptr_t address, Strides strides) {
    return {required<const uint8_t>(address), strides.first, strides.second};
}

Predictions predictions(uintptr_t address, int64_t bytes_of_a_value, Strides strides) {
    const int64_t bytes = bytes_of_a_value;
    expect(bytes == 1 || bytes == 4 || bytes == 8, "bytes_of_a_value must be 1 (uint8), 4 or 8 (floats)");
    const Values values = bytes == 1 ? Values::uint8 : bytes == 4 ? Values::float32 : Values::float64;
    return {required<const void>(address), values, strides.first, strides.second};
}

// No number in a kernel overflows for images of such sides and so many pixels.
constexpr int64_t longest = int64_t(1) << 29, most_pixels = int64_t(1) << 40;

// Batch, height and width.
Size checked(Size size) {
    const auto [batch, height, width] = size;
    expect(batch > 0 && height > 0 && width > 0, "size must be that of at least one image of at least one pixel");
    expect(height <= longest && width <= longest, "size must have sides of at most 2^29 pixels");
    expect(batch <= most_pixels / (height * width), "size must have at most 2^40 pixels");
    return size;
}

// Where runs of pixels are numbered in 32 bits.
Size checked_for_runs(Size size) {
    const auto [batch, height, width] = checked(size);
    expect(most_runs(height, width) < INT32_MAX, "size must be that of images of less than 2^32 pixels");
    return size;
}

int64_t checked_iterations(int64_t iterations) {
    expect(iterations >= 0 && iterations <= most_pixels, "iterations must be 0 to 2^40");
    return iterations;
}

Curves curves(uintptr_t points, uintptr_t lengths, int64_t count, uintptr_t corners, uintptr_t corner_counts) {
    expect(count >= 0, "count must be at least 0");
    // Tensors of no elements have no address.
    Curves all = {optional<const Point>(points), optional<const int64_t>(lengths), count, optional<Point>(corners),
                  optional<int64_t>(corner_counts)};
    if (count) required<const int64_t>(lengths), required<int64_t>(corner_counts);
    for (int64_t i = 0; i < count; ++i) {
        expect(all.lengths[i] >= 0, "lengths must be at least 0");
        if (all.lengths[i]) required<const Point>(points), required<Point>(corners);
    }
    return all;
}

Tolerance tolerance(double epsilon, bool segment) {
    expect(epsilon >= 0, "epsilon must be at least 0");
    return {epsilon, segment};
}

Dilation dilation(uintptr_t mask, Strides mask_strides, uintptr_t within, Strides within_strides, uintptr_t out,
                  Size size, int64_t iterations, bool square, bool flip) {
    const auto [batch, height, width] = checked(size);
    return {masks(mask, mask_strides), optional_masks(within, within_strides), required<uint8_t>(out), batch, height,
            width, checked_iterations(iterations), square, flip};
}

Boundary boundary(uintptr_t values, Strides value_strides, uintptr_t target, int64_t bytes_of_a_target,
                  Strides target_strides, Size size, bool logits, bool absolute, bool cross) {
    const auto [planes, height, width] = checked(size);
    expect(bytes_of_a_target == 1 || bytes_of_a_target == 4, "bytes_of_a_target must be 1 (uint8) or 4 (float32)");
    return {predictions(values, 4, value_strides), predictions(target, bytes_of_a_target, target_strides), planes,
            height, width, logits, absolute, cross};
}

Formula formula_named(const std::string& name) {
    for (size_t i = 0; i < std::size(formula_shapes); ++i)
        if (name == formula_shapes[i].name) return static_cast<Formula>(i);
    throw std::invalid_argument("formula must be one of pixel_formulas()");
}

void copy_options(Formula formula, const std::vector<float>& options, float* copy) {
    const auto expected = static_cast<size_t>(formula_shapes[static_cast<int>(formula)].options);
    expect(options.size() == expected, "options must be as many as the formula has");
    std::copy(options.begin(), options.end(), copy);
}

std::vector<std::string> pixel_formulas() {
    std::vector<std::string> names;
    for (const FormulaShape& shape : formula_shapes) names.push_back(shape.name);
    return names;
}

PixelLoss pixel_loss(const std::string& formula, bool probabilities, const std::vector<float>& options,
                     float ignore_label, uintptr_t prediction, int64_t prediction_stride, uintptr_t target,
                     int64_t bytes_of_a_target, int64_t target_stride, std::pair<int64_t, int64_t> size) {
    expect(bytes_of_a_target == 1 || bytes_of_a_target == 4, "bytes_of_a_target must be 1 (uint8) or 4 (float32)");
    const auto [batch, pixels] = size;
    expect(batch > 0 && pixels > 0, "size must be that of at least one sample of at least one pixel");
    expect(batch <= most_pixels / pixels, "size must have at most 2^40 pixels");
    PixelLoss loss = {formula_named(formula), probabilities, {}, ignore_label, required<const float>(prediction),
                      required<const void>(target), bytes_of_a_target == 1, prediction_stride, target_stride, batch,
                      pixels};
    copy_options(loss.formula, options, loss.options);
    return loss;
}

// Sides of side outputs, and the addresses of their maps.
using Sides = std::vector<std::pair<int64_t, int64_t>>;
using Addresses = std::vector<uintptr_t>;

std::vector<SideOutput> side_outputs(const Addresses& logits, const Addresses& gradients, const Sides& sides,
                                     int64_t batch) {
    expect(!sides.empty() && logits.size() == sides.size(), "logits and sides must be those of at least one output");
    expect(gradients.empty() || gradients.size() == sides.size(), "gradients must be as many as sides");
    std::vector<SideOutput> outputs;
    for (size_t i = 0; i < sides.size(); ++i) {
        const auto [of_batch, height, width] = checked({batch, sides[i].first, sides[i].second});
        float* gradient = gradients.empty() ? nullptr : required<float>(gradients[i]);
        outputs.push_back({required<const float>(logits[i]), gradient, height, width});
    }
    return outputs;
}

DeepSupervision deep_supervision(const std::vector<SideOutput>& outputs, uintptr_t target, int64_t bytes_of_a_target,
                                 Size size, const std::string& formula, const std::vector<float>& options,
                                 float ignore_label) {
    expect(bytes_of_a_target == 1 || bytes_of_a_target == 4, "bytes_of_a_target must be 1 (uint8) or 4 (float32)");
    const auto [batch, height, width] = checked(size);
    DeepSupervision task = {};
    task.sides = outputs.data();
    task.count = static_cast<int64_t>(outputs.size());
    task.batch = batch, task.height = height, task.width = width;
    task.target = required<const void>(target);
    task.target_of_bytes = bytes_of_a_target == 1;
    task.formula = formula_named(formula);
    copy_options(task.formula, options, task.options);
    task.ignore_label = ignore_label;
    return task;
}

ClickEncoding click_encoding(const std::string& name) {
    constexpr const char* names[] = {"disk", "distance", "gaussian"};
    for (size_t i = 0; i < std::size(names); ++i)
        if (name == names[i]) return static_cast<ClickEncoding>(i);
    throw std::invalid_argument("encoding must be disk, distance or gaussian");
}

// A map in float32 and its strides: batch, channel, row, column.
using Map = std::pair<uintptr_t, std::tuple<int64_t, int64_t, int64_t, int64_t>>;

FeatureMap feature_map(const Map& map) {
    const auto [batch, channel, row, column] = map.second;
    expect(channel == 1 || column == 1, "channels or columns of a map must lie side by side");
    return {required<float>(map.first), batch, channel, row, column};
}

int64_t checked_kernel(int64_t size) {
    expect(size > 0 && size % 2 && size <= longest_kernel, "kernel_sizes must be odd and at most 127");
    return size;
}

MultiscaleDepthwise multiscale_depthwise(const Map& x, const Map& out, uintptr_t parameters,
                                         const std::vector<int64_t>& kernel_sizes,
                                         std::tuple<int64_t, int64_t, int64_t, int64_t> size) {
    const auto [batch, channels, height, width] = size;
    expect(batch > 0 && channels > 0, "size must have at least one sample and one channel");
    expect(batch <= most_pixels && channels <= most_pixels / batch, "size must have at most 2^40 pixels");
    checked({batch * channels, height, width});
    expect(!kernel_sizes.empty() && kernel_sizes.size() <= most_strips + 1, "kernel_sizes must be 1 to 17 numbers");
    for (const int64_t kernel_size : kernel_sizes) checked_kernel(kernel_size);
    MultiscaleDepthwise task = {};
    task.x = feature_map(x), task.out = feature_map(out);
    task.parameters = required<const float>(parameters);
    task.size = kernel_sizes[0];
    task.strips = kernel_sizes.data() + 1;
    task.strip_count = static_cast<int64_t>(kernel_sizes.size()) - 1;
    task.batch = batch, task.channels = channels, task.height = height, task.width = width;
    return task;
}

// Maps that lack are None, here and in a task without data.
using OptionalMap = std::optional<Map>;

// Batch, channels, height and width.
using MapSize = std::tuple<int64_t, int64_t, int64_t, int64_t>;

Precision precision(const std::string& dtype) {
    if (dtype == "float32") return Precision::float32;
    if (dtype == "float16") return Precision::float16;
    expect(dtype == "bfloat16", "dtype must be float32, float16 or bfloat16");
    return Precision::bfloat16;
}

// The address of each map goes to its place in the task; all are in the layout of x.
BatchNormRelu batch_norm_relu(const std::vector<std::pair<FeatureMap BatchNormRelu::*, OptionalMap>>& maps,
                              uintptr_t weight, uintptr_t bias, uintptr_t mean, uintptr_t variance, double eps,
                              MapSize size) {
    const auto [batch, channels, height, width] = size;
    expect(batch > 0 && channels > 0, "size must have at least one sample and one channel");
    expect(batch <= most_pixels && channels <= most_pixels / batch, "size must have at most 2^40 pixels");
    checked({batch * channels, height, width});
    expect(eps >= 0, "eps must be at least 0");
    BatchNormRelu task = {};
    bool by_channels = true, by_columns = true;
    for (const auto& [place, map] : maps) {
        if (!map) continue;
        task.*place = feature_map(*map);
        by_channels = by_channels && (task.*place).channel_stride == 1;
        by_columns = by_columns && (task.*place).column_stride == 1;
    }
    expect(by_channels || by_columns, "maps must all have their channels, or all their columns side by side");
    task.channels_last = by_channels && !(by_columns && width >= channels);
    task.weight = required<const float>(weight), task.bias = required<const float>(bias);
    task.mean = required<float>(mean), task.variance = required<float>(variance);
    task.eps = eps;
    task.batch = batch, task.channels = channels, task.height = height, task.width = width;
    return task;
}

// Of maps that lie alike.
FeatureMap feature_map(const Map& map, bool channels_last) {
    const FeatureMap found = feature_map(map);
    const int64_t side_by_side = channels_last ? found.channel_stride : found.column_stride;
    expect(side_by_side == 1, "maps must have their channels side by side if channels_last, else their columns");
    return found;
}

UpsampleConcat upsample_concat(const Map& low, MapSize size, const Map& full, MapSize full_size, bool channels_last) {
    for (const MapSize& of : {size, full_size}) {
        const auto [batch, channels, height, width] = of;
        expect(batch > 0 && channels > 0, "sizes must have at least one sample and one channel");
        expect(batch <= most_pixels && channels <= most_pixels / batch, "sizes must have at most 2^40 pixels");
        checked({batch * channels, height, width});
    }
    const auto [batch, channels, height, width] = size;
    const auto [full_batch, full_channels, full_height, full_width] = full_size;
    expect(batch == full_batch && channels <= full_channels, "sizes must have one batch, and channels for both maps");
    return {feature_map(low, channels_last), feature_map(full, channels_last), {}, batch, channels,
            full_channels - channels, height, width, full_height, full_width, channels_last};
}

DepthwiseGelu depthwise_gelu(const Map& x, uintptr_t weight, uintptr_t bias, const Map& out, MapSize size) {
    const auto [batch, channels, height, width] = size;
    expect(batch > 0 && channels > 0, "size must have at least one sample and one channel");
    expect(batch <= most_pixels && channels <= most_pixels / batch, "size must have at most 2^40 pixels");
    checked({batch * channels, height, width});
    DepthwiseGelu task = {};
    task.x = feature_map(x), task.out = feature_map(out);
    task.weight = required<const float>(weight), task.bias = required<const float>(bias);
    task.batch = batch, task.channels = channels, task.height = height, task.width = width;
    return task;
}

#if defined(DISLAYERS_CUDA)
GpuMap gpu_map(const Map& map) {
    const auto [batch, channel, row, column] = map.second;
    expect(column == 1, "columns of a map must lie side by side");
    return {required<void>(map.first), batch, channel, row};
}

GpuDepthwise gpu_depthwise(const Map& x, const Map& out, uintptr_t parameters, const std::string& dtype, MapSize size) {
    const auto [batch, channels, height, width] = size;
    expect(batch > 0 && channels > 0, "size must have at least one sample and one channel");
    expect(batch <= gpu_most && channels <= gpu_most, "size must have at most 65535 samples and channels");
    checked({batch * channels, height, width});
    GpuDepthwise task = {};
    task.precision = precision(dtype);
    task.x = gpu_map(x), task.out = gpu_map(out);
    task.parameters = required<const float>(parameters);
    task.batch = batch, task.channels = channels, task.height = height, task.width = width;
    return task;
}

template <typename Task>
void queue(const char* name, const char* (*kernel)(const Task&, void*), const Task& task, uintptr_t stream) {
    const py::gil_scoped_release released;
    if (const char* error = kernel(task, reinterpret_cast<void*>(stream)))
        throw std::runtime_error(std::string(name) + ": " + error);
}
#endif

int best() { return static_cast<int>(best_instruction_set()); }

std::vector<std::string> instruction_sets() {
#define NAME(SET, ...) #SET,
    const std::vector<std::string> built = {EVERY_INSTRUCTION_SET(NAME, )};
#undef NAME
    return {built.begin(), built.begin() + best() + 1};
}

int checked_set(int instruction_set) {
    const bool known = instruction_set >= 0 && instruction_set <= best();
    expect(known, "instruction_set must be an index into instruction_sets()");
    return instruction_set;
}

template <typename Task>
void run(void (*kernel)(const Task&, int64_t, int), const Task& task, int64_t threads, int instruction_set) {
    constexpr int64_t most_threads = 1024;
    expect(threads > 0, "threads must be at least 1");
    checked_set(instruction_set);
    const py::gil_scoped_release released;
    kernel(task, std::min(threads, most_threads), instruction_set);
}

}  // namespace

PYBIND11_MODULE(_C, module) {
    module.doc() = "Compiled kernels of dislayers; called by the ops, which check their arguments.";
    module.def("instruction_sets", &instruction_sets, "Those that this processor runs, best last.");
    module.def(
        "dilate_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t within, Strides within_strides, uintptr_t out, Size size,
           int64_t iterations, bool square, bool flip, int64_t threads, int instruction_set) {
            const auto task = dilation(mask, mask_strides, within, within_strides, out, size, iterations, square, flip);
            run(dilate_cpu, task, threads, instruction_set);
        },
        "mask"_a, "mask_strides"_a, "within"_a, "within_strides"_a, "out"_a, "size"_a, "iterations"_a, "square"_a,
        "flip"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "skeletonize_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t out, Size size, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = checked(size);
            const Thinning task = {masks(mask, mask_strides), required<uint8_t>(out), batch, height, width};
            run(skeletonize_cpu, task, threads, instruction_set);
        },
        "mask"_a, "mask_strides"_a, "out"_a, "size"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "connected_components_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t labels, uintptr_t counts, Size size, bool diagonal,
           int64_t threads, int instruction_set) {
            const auto [batch, height, width] = checked_for_runs(size);
            const Labelling task = {masks(mask, mask_strides), required<int32_t>(labels), required<int64_t>(counts),
                                    batch, height, width, diagonal};
            run(connected_components_cpu, task, threads, instruction_set);
        },
        "mask"_a, "mask_strides"_a, "labels"_a, "counts"_a, "size"_a, "diagonal"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "joint_histogram_cpu",
        [](uintptr_t pred, int64_t bytes_of_a_value, Strides pred_strides, uintptr_t gt, Strides gt_strides,
           uintptr_t counts, Size size, int64_t bins, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = checked(size);
            expect(bins > 0 && bins <= 65536, "bins must be 1 to 65536");
            const JointCounting task = {predictions(pred, bytes_of_a_value, pred_strides), masks(gt, gt_strides),
                                        required<int64_t>(counts), batch, height, width, bins};
            run(joint_histogram_cpu, task, threads, instruction_set);
        },
        "pred"_a, "bytes_of_a_value"_a, "pred_strides"_a, "gt"_a, "gt_strides"_a, "counts"_a, "size"_a, "bins"_a,
        "threads"_a, "instruction_set"_a);
    module.def(
        "moments_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t sums, Size size, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = checked(size);
            const Summation task = {masks(mask, mask_strides), required<int64_t>(sums), batch, height, width};
            run(moments_cpu, task, threads, instruction_set);
        },
        "mask"_a, "mask_strides"_a, "sums"_a, "size"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "click_maps_cpu",
        [](uintptr_t points, int64_t count, uintptr_t maps, Size size, const std::string& encoding, float radius,
           float squared_reach, int64_t threads, int instruction_set) {
            const auto [number, height, width] = checked(size);
            expect(count >= 0 && count <= longest, "count must be 0 to 2^29");
            const ClickMaps task = {count ? required<const float>(points) : nullptr, count, required<float>(maps),
                                    number, height, width, click_encoding(encoding), radius, squared_reach};
            run(click_maps_cpu, task, threads, instruction_set);
        },
        "points"_a, "count"_a, "maps"_a, "size"_a, "encoding"_a, "radius"_a, "squared_reach"_a, "threads"_a,
        "instruction_set"_a);
    module.def(
        "patch_threshold_cpu",
        [](uintptr_t probability, int64_t bytes_of_a_value, Strides probability_strides, uintptr_t mask,
           Strides mask_strides, uintptr_t threshold, uintptr_t iou, uintptr_t out, Size size, int64_t patch_size,
           bool nearest_half, bool both_classes, bool literal, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = checked(size);
            expect(patch_size > 0 && height % patch_size == 0 && width % patch_size == 0,
                   "patch_size must divide the height and width");
            const PatchThresholds task = {predictions(probability, bytes_of_a_value, probability_strides),
                                          masks(mask, mask_strides), required<float>(threshold), required<float>(iou),
                                          required<uint8_t>(out), batch, height, width, patch_size, nearest_half,
                                          both_classes, literal};
            run(patch_threshold_cpu, task, threads, instruction_set);
        },
        "probability"_a, "bytes_of_a_value"_a, "probability_strides"_a, "mask"_a, "mask_strides"_a, "threshold"_a,
        "iou"_a, "out"_a, "size"_a, "patch_size"_a, "nearest_half"_a, "both_classes"_a, "literal"_a, "threads"_a,
        "instruction_set"_a);
    module.def(
        "laplacian_boundary_cpu",
        [](uintptr_t values, Strides value_strides, uintptr_t target, int64_t bytes_of_a_target, Strides target_strides,
           Size size, bool logits, bool absolute, bool cross, uintptr_t losses, int64_t threads, int instruction_set) {
            const BoundaryLoss task = {boundary(values, value_strides, target, bytes_of_a_target, target_strides, size,
                                                logits, absolute, cross),
                                       required<double>(losses)};
            run(laplacian_boundary_cpu, task, threads, instruction_set);
        },
        "values"_a, "values_strides"_a, "target"_a, "bytes_of_a_target"_a, "target_strides"_a, "size"_a, "logits"_a,
        "absolute"_a, "cross"_a, "losses"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "laplacian_boundary_backward_cpu",
        [](uintptr_t values, Strides value_strides, uintptr_t target, int64_t bytes_of_a_target, Strides target_strides,
           Size size, bool logits, bool absolute, bool cross, uintptr_t scales, uintptr_t gradient, int64_t threads,
           int instruction_set) {
            const BoundaryGradient task = {boundary(values, value_strides, target, bytes_of_a_target, target_strides,
                                                    size, logits, absolute, cross),
                                           required<const float>(scales), required<float>(gradient)};
            run(laplacian_boundary_backward_cpu, task, threads, instruction_set);
        },
        "values"_a, "values_strides"_a, "target"_a, "bytes_of_a_target"_a, "target_strides"_a, "size"_a, "logits"_a,
        "absolute"_a, "cross"_a, "scales"_a, "gradient"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "distance_transform_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t distance, uintptr_t index, Size size, int64_t threads,
           int instruction_set) {
            const auto [batch, height, width] = checked(size);
            const DistanceTransform task = {masks(mask, mask_strides), required<float>(distance),
                                            optional<int64_t>(index), batch, height, width};
            run(distance_transform_cpu, task, threads, instruction_set);
        },
        "mask"_a, "mask_strides"_a, "distance"_a, "index"_a, "size"_a, "threads"_a, "instruction_set"_a);
    py::class_<Contours>(module, "Contours")
        .def_property_readonly("count", &Contours::count)
        .def_property_readonly("points", &Contours::points)
        .def(
            "write",
            [](const Contours& contours, uintptr_t points, uintptr_t lengths, uintptr_t is_hole, uintptr_t parents) {
                if (contours.count() == 0) return;  // PyTorch gives empty tensors no address
                contours.write({required<Point>(points), required<int64_t>(lengths), required<bool>(is_hole),
                                required<int64_t>(parents)});
            },
            "points"_a, "lengths"_a, "is_hole"_a, "parents"_a);
    module.def(
        "contours_cpu",
        [](uintptr_t mask, int64_t stride_row, std::pair<int64_t, int64_t> size, int instruction_set) {
            const auto [batch, height, width] = checked_for_runs({1, size.first, size.second});
            const Image image = {required<const uint8_t>(mask), height, width, stride_row};
            checked_set(instruction_set);
            const py::gil_scoped_release released;
            return std::make_unique<Contours>(image, instruction_set);
        },
        "mask"_a, "stride_row"_a, "size"_a, "instruction_set"_a);
    module.def(
        "approximate_polygons_cpu",
        [](uintptr_t points, uintptr_t lengths, int64_t count, double epsilon, bool segment, bool closed,
           uintptr_t corners, uintptr_t corner_counts) {
            const Curves task = curves(points, lengths, count, corners, corner_counts);
            const Tolerance allowed = tolerance(epsilon, segment);
            const py::gil_scoped_release released;
            return approximate_polygons_cpu(task, allowed, closed);
        },
        "points"_a, "lengths"_a, "count"_a, "epsilon"_a, "segment"_a, "closed"_a, "corners"_a, "corner_counts"_a);
    module.def(
        "human_correction_effort_cpu",
        [](uintptr_t pred, Strides pred_strides, uintptr_t truth, Strides truth_strides, uintptr_t skeleton,
           Strides skeleton_strides, uintptr_t clicks, Size size, int64_t relax, double epsilon, bool segment,
           int64_t threads, int instruction_set) {
            const auto [batch, height, width] = checked_for_runs(size);
            const Effort task = {masks(pred, pred_strides), masks(truth, truth_strides),
                                 optional_masks(skeleton, skeleton_strides), batch, height, width,
                                 checked_iterations(relax), tolerance(epsilon, segment),
                                 required<int64_t>(clicks)};
            run(human_correction_effort_cpu, task, threads, instruction_set);
        },
        "pred"_a, "pred_strides"_a, "truth"_a, "truth_strides"_a, "skeleton"_a, "skeleton_strides"_a, "clicks"_a,
        "size"_a, "relax"_a, "epsilon"_a, "segment"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "weighted_f_measure_cpu",
        [](uintptr_t pred, int64_t bytes_of_a_value, Strides pred_strides, uintptr_t gt, Strides gt_strides,
           uintptr_t range, double beta_squared, uintptr_t scores, Size size, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = checked(size);
            const WeightedF task = {predictions(pred, bytes_of_a_value, pred_strides), masks(gt, gt_strides),
                                    required<const double>(range), required<double>(scores), batch, height, width,
                                    beta_squared};
            run(weighted_f_measure_cpu, task, threads, instruction_set);
        },
        "pred"_a, "bytes_of_a_value"_a, "pred_strides"_a, "gt"_a, "gt_strides"_a, "range"_a, "beta_squared"_a,
        "scores"_a, "size"_a, "threads"_a, "instruction_set"_a);
    module.def("pixel_formulas", &pixel_formulas, "Names of the losses that pixel_loss_cpu knows.");
    module.def(
        "pixel_loss_cpu",
        [](const std::string& formula, bool probabilities, const std::vector<float>& options, float ignore_label,
           uintptr_t prediction, int64_t prediction_stride, uintptr_t target, int64_t bytes_of_a_target,
           int64_t target_stride, std::pair<int64_t, int64_t> size, uintptr_t sums, int64_t threads,
           int instruction_set) {
            const PixelSums task = {pixel_loss(formula, probabilities, options, ignore_label, prediction,
                                               prediction_stride, target, bytes_of_a_target, target_stride, size),
                                    required<double>(sums)};
            run(pixel_loss_cpu, task, threads, instruction_set);
        },
        "formula"_a, "probabilities"_a, "options"_a, "ignore_label"_a, "prediction"_a, "prediction_stride"_a,
        "target"_a, "bytes_of_a_target"_a, "target_stride"_a, "size"_a, "sums"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "pixel_loss_backward_cpu",
        [](const std::string& formula, bool probabilities, const std::vector<float>& options, float ignore_label,
           uintptr_t prediction, int64_t prediction_stride, uintptr_t target, int64_t bytes_of_a_target,
           int64_t target_stride, std::pair<int64_t, int64_t> size, uintptr_t coefficients, uintptr_t slopes,
           int64_t slopes_stride, int64_t threads, int instruction_set) {
            const PixelSlopes task = {pixel_loss(formula, probabilities, options, ignore_label, prediction,
                                                 prediction_stride, target, bytes_of_a_target, target_stride, size),
                                      required<const float>(coefficients), required<float>(slopes), slopes_stride};
            run(pixel_loss_backward_cpu, task, threads, instruction_set);
        },
        "formula"_a, "probabilities"_a, "options"_a, "ignore_label"_a, "prediction"_a, "prediction_stride"_a,
        "target"_a, "bytes_of_a_target"_a, "target_stride"_a, "size"_a, "coefficients"_a, "slopes"_a,
        "slopes_stride"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "deep_supervision_cpu",
        [](const Addresses& logits, const Sides& sides, uintptr_t target, int64_t bytes_of_a_target, Size size,
           const std::string& formula, const std::vector<float>& options, float ignore_label, uintptr_t sums,
           int64_t threads, int instruction_set) {
            const auto outputs = side_outputs(logits, {}, sides, std::get<0>(size));
            auto task = deep_supervision(outputs, target, bytes_of_a_target, size, formula, options, ignore_label);
            task.sums = required<double>(sums);
            run(deep_supervision_cpu, task, threads, instruction_set);
        },
        "logits"_a, "sides"_a, "target"_a, "bytes_of_a_target"_a, "size"_a, "formula"_a, "options"_a, "ignore_label"_a,
        "sums"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "deep_supervision_backward_cpu",
        [](const Addresses& logits, const Sides& sides, uintptr_t target, int64_t bytes_of_a_target, Size size,
           const std::string& formula, const std::vector<float>& options, float ignore_label, uintptr_t coefficients,
           const Addresses& gradients, int64_t threads, int instruction_set) {
            expect(!gradients.empty(), "gradients must be as many as sides");
            const auto outputs = side_outputs(logits, gradients, sides, std::get<0>(size));
            auto task = deep_supervision(outputs, target, bytes_of_a_target, size, formula, options, ignore_label);
            task.coefficients = required<const float>(coefficients);
            run(deep_supervision_backward_cpu, task, threads, instruction_set);
        },
        "logits"_a, "sides"_a, "target"_a, "bytes_of_a_target"_a, "size"_a, "formula"_a, "options"_a, "ignore_label"_a,
        "coefficients"_a, "gradients"_a, "threads"_a, "instruction_set"_a);
    module.attr("most_strips") = most_strips;
    module.attr("longest_kernel") = longest_kernel;
    module.def(
        "multiscale_depthwise_cpu",
        [](const Map& x, uintptr_t parameters, const std::vector<int64_t>& kernel_sizes, const Map& out,
           std::tuple<int64_t, int64_t, int64_t, int64_t> size, int64_t threads, int instruction_set) {
            const auto task = multiscale_depthwise(x, out, parameters, kernel_sizes, size);
            run(multiscale_depthwise_cpu, task, threads, instruction_set);
        },
        "x"_a, "parameters"_a, "kernel_sizes"_a, "out"_a, "size"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "multiscale_depthwise_backward_cpu",
        [](const Map& gradient, const Map& x, uintptr_t parameters, const std::vector<int64_t>& kernel_sizes,
           const Map& out, uintptr_t parameter_gradients, std::tuple<int64_t, int64_t, int64_t, int64_t> size,
           int64_t threads, int instruction_set) {
            auto task = multiscale_depthwise(x, out, parameters, kernel_sizes, size);
            task.gradient = feature_map(gradient);
            task.parameter_gradients = required<float>(parameter_gradients);
            run(multiscale_depthwise_backward_cpu, task, threads, instruction_set);
        },
        "gradient"_a, "x"_a, "parameters"_a, "kernel_sizes"_a, "out"_a, "parameter_gradients"_a, "size"_a, "threads"_a,
        "instruction_set"_a);
    module.def(
        "batch_norm_relu_cpu",
        [](const Map& x, uintptr_t weight, uintptr_t bias, const OptionalMap& residual, double eps, const Map& out,
           const OptionalMap& pooled, uintptr_t mean, uintptr_t variance, MapSize size, int64_t threads,
           int instruction_set) {
            const auto task = batch_norm_relu({{&BatchNormRelu::x, x}, {&BatchNormRelu::residual, residual},
                                               {&BatchNormRelu::out, out}, {&BatchNormRelu::pooled, pooled}},
                                              weight, bias, mean, variance, eps, size);
            run(batch_norm_relu_cpu, task, threads, instruction_set);
        },
        "x"_a, "weight"_a, "bias"_a, "residual"_a, "eps"_a, "out"_a, "pooled"_a, "mean"_a, "variance"_a, "size"_a,
        "threads"_a, "instruction_set"_a);
    module.def(
        "normalize_relu_cpu",
        [](const Map& x, uintptr_t mean, uintptr_t variance, uintptr_t weight, uintptr_t bias,
           const OptionalMap& residual, double eps, const Map& out, bool pool, MapSize size, int64_t threads,
           int instruction_set) {
            const auto given = pool ? &BatchNormRelu::pooled : &BatchNormRelu::out;
            const auto task = batch_norm_relu({{&BatchNormRelu::x, x}, {&BatchNormRelu::residual, residual},
                                               {given, out}}, weight, bias, mean, variance, eps, size);
            run(normalize_relu_cpu, task, threads, instruction_set);
        },
        "x"_a, "mean"_a, "variance"_a, "weight"_a, "bias"_a, "residual"_a, "eps"_a, "out"_a, "pool"_a, "size"_a,
        "threads"_a, "instruction_set"_a);
    module.def(
        "batch_norm_relu_backward_cpu",
        [](const OptionalMap& d_out, const OptionalMap& d_pooled, const Map& x, uintptr_t weight, uintptr_t bias,
           uintptr_t mean, uintptr_t variance, const OptionalMap& residual, double eps, const std::string& dtype,
           const Map& d_x, uintptr_t d_weight, uintptr_t d_bias, const OptionalMap& d_residual, MapSize size,
           int64_t threads, int instruction_set) {
            expect(d_out || d_pooled, "d_out or d_pooled is expected, got None for both");
            expect(!residual == !d_residual, "residual and d_residual must be given together");
            expect(d_pooled || !residual, "residual is expected with d_pooled alone");
            auto task = batch_norm_relu({{&BatchNormRelu::d_out, d_out}, {&BatchNormRelu::d_pooled, d_pooled},
                                         {&BatchNormRelu::x, x}, {&BatchNormRelu::residual, residual},
                                         {&BatchNormRelu::d_x, d_x}, {&BatchNormRelu::d_residual, d_residual}},
                                        weight, bias, mean, variance, eps, size);
            task.d_weight = required<float>(d_weight), task.d_bias = required<float>(d_bias);
            task.precision = precision(dtype);
            run(batch_norm_relu_backward_cpu, task, threads, instruction_set);
        },
        "d_out"_a, "d_pooled"_a, "x"_a, "weight"_a, "bias"_a, "mean"_a, "variance"_a, "residual"_a, "eps"_a, "dtype"_a,
        "d_x"_a, "d_weight"_a, "d_bias"_a, "d_residual"_a, "size"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "upsample_concat_cpu",
        [](const Map& x, MapSize size, const Map& skip, const Map& out, MapSize out_size, bool channels_last,
           int64_t threads, int instruction_set) {
            auto task = upsample_concat(x, size, out, out_size, channels_last);
            if (task.skip_channels) task.skip = feature_map(skip, channels_last);
            run(upsample_concat_cpu, task, threads, instruction_set);
        },
        "x"_a, "size"_a, "skip"_a, "out"_a, "out_size"_a, "channels_last"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "upsample_concat_backward_cpu",
        [](const Map& gradient, MapSize gradient_size, const Map& out, MapSize size, bool channels_last,
           int64_t threads, int instruction_set) {
            const auto task = upsample_concat(out, size, gradient, gradient_size, channels_last);
            run(upsample_concat_backward_cpu, task, threads, instruction_set);
        },
        "gradient"_a, "gradient_size"_a, "out"_a, "size"_a, "channels_last"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "depthwise_gelu_cpu",
        [](const Map& x, uintptr_t weight, uintptr_t bias, const Map& out, MapSize size, int64_t threads,
           int instruction_set) {
            run(depthwise_gelu_cpu, depthwise_gelu(x, weight, bias, out, size), threads, instruction_set);
        },
        "x"_a, "weight"_a, "bias"_a, "out"_a, "size"_a, "threads"_a, "instruction_set"_a);
    module.def(
        "depthwise_gelu_backward_cpu",
        [](const Map& gradient, const Map& x, uintptr_t weight, uintptr_t bias, const Map& d_x, uintptr_t d_weight,
           uintptr_t d_bias, MapSize size, int64_t threads, int instruction_set) {
            auto task = depthwise_gelu(x, weight, bias, d_x, size);
            task.gradient = feature_map(gradient);
            task.weight_gradient = required<float>(d_weight), task.bias_gradient = required<float>(d_bias);
            run(depthwise_gelu_backward_cpu, task, threads, instruction_set);
        },
        "gradient"_a, "x"_a, "weight"_a, "bias"_a, "d_x"_a, "d_weight"_a, "d_bias"_a, "size"_a, "threads"_a,
        "instruction_set"_a);
#if defined(DISLAYERS_CUDA)
    module.attr("dilate_cuda_iterations") = dilate_cuda_iterations;
    module.def(
        "dilate_cuda",
        [](uintptr_t mask, Strides mask_strides, uintptr_t within, Strides within_strides, uintptr_t out, Size size,
           int64_t iterations, bool square, bool flip, uintptr_t stream) {
            expect(iterations <= dilate_cuda_iterations, "too many iterations for one call");
            const auto task = dilation(mask, mask_strides, within, within_strides, out, size, iterations, square, flip);
            queue("dilate_cuda", dilate_cuda, task, stream);
        },
        "mask"_a, "mask_strides"_a, "within"_a, "within_strides"_a, "out"_a, "size"_a, "iterations"_a, "square"_a,
        "flip"_a, "stream"_a);
    module.attr("gpu_kernel_sizes") = std::vector<int64_t>(std::begin(gpu_kernel_sizes), std::end(gpu_kernel_sizes));
    module.attr("gpu_most") = gpu_most;
    module.attr("gpu_tile") = gpu_tile;
    module.attr("gpu_quantum") = gpu_quantum;
    module.attr("multiscale_depthwise_shared") = multiscale_depthwise_shared;
    module.attr("multiscale_depthwise_backward_shared") = multiscale_depthwise_backward_shared;
    module.def(
        "multiscale_depthwise_cuda",
        [](const Map& x, uintptr_t parameters, const Map& out, const std::string& dtype, MapSize size,
           uintptr_t stream) {
            const GpuDepthwise task = gpu_depthwise(x, out, parameters, dtype, size);
            queue("multiscale_depthwise_cuda", multiscale_depthwise_cuda, task, stream);
        },
        "x"_a, "parameters"_a, "out"_a, "dtype"_a, "size"_a, "stream"_a);
    module.def(
        "multiscale_depthwise_backward_cuda",
        [](const Map& gradient, const Map& x, uintptr_t parameters, const Map& out, uintptr_t parameter_gradients,
           uintptr_t of_a, uintptr_t partials, const std::string& dtype, MapSize size, uintptr_t stream) {
            expect(of_a % 16 == 0, "of_a must begin at a multiple of 16 bytes");
            GpuDepthwise task = gpu_depthwise(x, out, parameters, dtype, size);
            task.gradient = gpu_map(gradient);
            task.parameter_gradients = required<float>(parameter_gradients);
            task.of_a = required<float>(of_a);
            task.partials = required<float>(partials);
            queue("multiscale_depthwise_backward_cuda", multiscale_depthwise_backward_cuda, task, stream);
        },
        "gradient"_a, "x"_a, "parameters"_a, "out"_a, "parameter_gradients"_a, "of_a"_a, "partials"_a, "dtype"_a,
        "size"_a, "stream"_a);
#endif
}
