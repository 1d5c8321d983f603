// dislayers._C: addresses, sizes, strides and a stream come from Python, which owns every tensor and checked it.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "api.h"
#include "instruction_set.h"

namespace py = pybind11;
using namespace dislayers;

namespace {

using Size = std::tuple<int64_t, int64_t, int64_t>;
using Strides = std::pair<int64_t, int64_t>;

Dilation dilation(uintptr_t mask, Strides mask_strides, uintptr_t within, Strides within_strides, uintptr_t out,
                  Size size, int64_t iterations, bool square, bool flip) {
    const auto [batch, height, width] = size;
    if (batch < 1 || height < 1 || width < 1 || iterations < 0 || !mask || !out)
        throw std::invalid_argument("an image of at least one pixel and iterations of at least 0 are expected");
    Dilation task;
    task.mask = reinterpret_cast<const uint8_t*>(mask);
    task.within = reinterpret_cast<const uint8_t*>(within);
    task.out = reinterpret_cast<uint8_t*>(out);
    task.batch = batch;
    task.height = height;
    task.width = width;
    std::tie(task.mask_stride_batch, task.mask_stride_row) = mask_strides;
    std::tie(task.within_stride_batch, task.within_stride_row) = within_strides;
    task.iterations = iterations;
    task.square = square;
    task.flip = flip;
    return task;
}

int best() { return static_cast<int>(best_instruction_set()); }

Values values_of(int64_t bytes_of_a_value) {
    if (bytes_of_a_value != 1 && bytes_of_a_value != 4 && bytes_of_a_value != 8)
        throw std::invalid_argument("values of 1 (uint8), 4 or 8 bytes (floats) are expected");
    return bytes_of_a_value == 1 ? Values::uint8 : bytes_of_a_value == 4 ? Values::float32 : Values::float64;
}

std::vector<std::string> instruction_sets() {
#define NAME(SET, ...) #SET,
    const std::vector<std::string> built = {EVERY_INSTRUCTION_SET(NAME, )};
#undef NAME
    return {built.begin(), built.begin() + best() + 1};
}

}  // namespace

PYBIND11_MODULE(_C, module) {
    module.doc() = "Compiled kernels of dislayers; called by the ops, which check their arguments.";
    module.def("instruction_sets", &instruction_sets, "Those that this processor runs, best last.");
    module.def(
        "dilate_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t within, Strides within_strides, uintptr_t out, Size size,
           int64_t iterations, bool square, bool flip, int64_t threads, int instruction_set) {
            if (instruction_set < 0 || instruction_set > best())
                throw std::invalid_argument("instruction_set must be an index into instruction_sets()");
            const auto task = dilation(mask, mask_strides, within, within_strides, out, size, iterations, square, flip);
            const py::gil_scoped_release released;
            dilate_cpu(task, threads, instruction_set);
        },
        py::arg("mask"), py::arg("mask_strides"), py::arg("within"), py::arg("within_strides"), py::arg("out"),
        py::arg("size"), py::arg("iterations"), py::arg("square"), py::arg("flip"), py::arg("threads"),
        py::arg("instruction_set"));
    module.def(
        "skeletonize_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t out, Size size, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = size;
            if (batch < 1 || height < 1 || width < 1 || !mask || !out || instruction_set < 0 || instruction_set > best())
                throw std::invalid_argument("an image of at least one pixel and an instruction set are expected");
            const Thinning task = {reinterpret_cast<const uint8_t*>(mask),
                                   reinterpret_cast<uint8_t*>(out),
                                   batch,
                                   height,
                                   width,
                                   mask_strides.first,
                                   mask_strides.second};
            const py::gil_scoped_release released;
            skeletonize_cpu(task, threads, instruction_set);
        },
        py::arg("mask"), py::arg("mask_strides"), py::arg("out"), py::arg("size"), py::arg("threads"),
        py::arg("instruction_set"));
    module.def(
        "connected_components_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t labels, uintptr_t counts, Size size, bool diagonal,
           int64_t threads, int instruction_set) {
            const auto [batch, height, width] = size;
            if (batch < 1 || height < 1 || width < 1 || !mask || !labels || !counts || instruction_set < 0 ||
                instruction_set > best())
                throw std::invalid_argument("an image of at least one pixel and an instruction set are expected");
            if (most_runs(height, width) >= INT32_MAX)
                throw std::invalid_argument("an image of less than 2^32 pixels is expected");
            const Labelling task = {reinterpret_cast<const uint8_t*>(mask),
                                    reinterpret_cast<int32_t*>(labels),
                                    reinterpret_cast<int64_t*>(counts),
                                    batch,
                                    height,
                                    width,
                                    mask_strides.first,
                                    mask_strides.second,
                                    diagonal};
            const py::gil_scoped_release released;
            connected_components_cpu(task, threads, instruction_set);
        },
        py::arg("mask"), py::arg("mask_strides"), py::arg("labels"), py::arg("counts"), py::arg("size"),
        py::arg("diagonal"), py::arg("threads"), py::arg("instruction_set"));
    module.def(
        "joint_histogram_cpu",
        [](uintptr_t pred, int64_t bytes_of_a_value, Strides pred_strides, uintptr_t gt, Strides gt_strides,
           uintptr_t counts, Size size, int64_t bins, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = size;
            if (batch < 1 || height < 1 || width < 1 || bins < 1 || !pred || !gt || !counts || instruction_set < 0 ||
                instruction_set > best())
                throw std::invalid_argument("an image of at least one pixel, a bin and an instruction set are expected");
            const JointCounting task = {reinterpret_cast<const void*>(pred),
                                        reinterpret_cast<const uint8_t*>(gt),
                                        reinterpret_cast<int64_t*>(counts),
                                        values_of(bytes_of_a_value),
                                        batch,
                                        height,
                                        width,
                                        pred_strides.first,
                                        pred_strides.second,
                                        gt_strides.first,
                                        gt_strides.second,
                                        bins};
            const py::gil_scoped_release released;
            joint_histogram_cpu(task, threads, instruction_set);
        },
        py::arg("pred"), py::arg("bytes_of_a_value"), py::arg("pred_strides"), py::arg("gt"), py::arg("gt_strides"),
        py::arg("counts"), py::arg("size"), py::arg("bins"), py::arg("threads"), py::arg("instruction_set"));
    module.def(
        "moments_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t sums, Size size, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = size;
            if (batch < 1 || height < 1 || width < 1 || !mask || !sums || instruction_set < 0 || instruction_set > best())
                throw std::invalid_argument("an image of at least one pixel and an instruction set are expected");
            const Summation task = {reinterpret_cast<const uint8_t*>(mask),
                                    reinterpret_cast<int64_t*>(sums),
                                    batch,
                                    height,
                                    width,
                                    mask_strides.first,
                                    mask_strides.second};
            const py::gil_scoped_release released;
            moments_cpu(task, threads, instruction_set);
        },
        py::arg("mask"), py::arg("mask_strides"), py::arg("sums"), py::arg("size"), py::arg("threads"),
        py::arg("instruction_set"));
    module.def(
        "distance_transform_cpu",
        [](uintptr_t mask, Strides mask_strides, uintptr_t distance, uintptr_t index, Size size, int64_t threads,
           int instruction_set) {
            const auto [batch, height, width] = size;
            if (batch < 1 || height < 1 || width < 1 || !mask || !distance || instruction_set < 0 ||
                instruction_set > best())
                throw std::invalid_argument("an image of at least one pixel and an instruction set are expected");
            const DistanceTransform task = {reinterpret_cast<const uint8_t*>(mask),
                                            reinterpret_cast<float*>(distance),
                                            reinterpret_cast<int64_t*>(index),
                                            batch,
                                            height,
                                            width,
                                            mask_strides.first,
                                            mask_strides.second};
            const py::gil_scoped_release released;
            distance_transform_cpu(task, threads, instruction_set);
        },
        py::arg("mask"), py::arg("mask_strides"), py::arg("distance"), py::arg("index"), py::arg("size"),
        py::arg("threads"), py::arg("instruction_set"));
    py::class_<Contours>(module, "Contours")
        .def_property_readonly("count", &Contours::count)
        .def_property_readonly("points", &Contours::points)
        .def(
            "write",
            [](const Contours& contours, uintptr_t points, uintptr_t lengths, uintptr_t is_hole, uintptr_t parents) {
                contours.write({reinterpret_cast<Point*>(points), reinterpret_cast<int64_t*>(lengths),
                                reinterpret_cast<bool*>(is_hole), reinterpret_cast<int64_t*>(parents)});
            },
            py::arg("points"), py::arg("lengths"), py::arg("is_hole"), py::arg("parents"));
    module.def(
        "contours_cpu",
        [](uintptr_t mask, int64_t stride_row, std::pair<int64_t, int64_t> size, int instruction_set) {
            const auto [height, width] = size;
            const bool known = instruction_set >= 0 && instruction_set <= best();
            if (height < 0 || width < 0 || (!mask && height && width) || !known)
                throw std::invalid_argument("an image and an instruction set are expected");
            const py::gil_scoped_release released;
            const Image image = {reinterpret_cast<const uint8_t*>(mask), height, width, stride_row};
            return std::make_unique<Contours>(image, instruction_set);
        },
        py::arg("mask"), py::arg("stride_row"), py::arg("size"), py::arg("instruction_set"));
    module.def(
        "approximate_polygons_cpu",
        [](uintptr_t points, uintptr_t lengths, int64_t count, double epsilon, bool segment, bool closed,
           uintptr_t corners, uintptr_t corner_counts) {
            const Curves curves = {reinterpret_cast<const Point*>(points), reinterpret_cast<const int64_t*>(lengths),
                                   count, reinterpret_cast<Point*>(corners),
                                   reinterpret_cast<int64_t*>(corner_counts)};
            const py::gil_scoped_release released;
            return approximate_polygons_cpu(curves, {epsilon, segment}, closed);
        },
        py::arg("points"), py::arg("lengths"), py::arg("count"), py::arg("epsilon"), py::arg("segment"),
        py::arg("closed"), py::arg("corners"), py::arg("corner_counts"));
    module.def(
        "human_correction_effort_cpu",
        [](uintptr_t pred, Strides pred_strides, uintptr_t truth, Strides truth_strides, uintptr_t skeleton,
           Strides skeleton_strides, uintptr_t clicks, Size size, int64_t relax, double epsilon, bool segment,
           int64_t threads, int instruction_set) {
            const auto [batch, height, width] = size;
            if (batch < 1 || height < 1 || width < 1 || relax < 0 || !pred || !truth || !clicks ||
                instruction_set < 0 || instruction_set > best())
                throw std::invalid_argument("images of at least one pixel and an instruction set are expected");
            const auto images = [](uintptr_t mask, Strides strides) {
                return StridedMasks{reinterpret_cast<const uint8_t*>(mask), strides.first, strides.second};
            };
            const Effort task = {images(pred, pred_strides), images(truth, truth_strides),
                                 images(skeleton, skeleton_strides), batch, height, width, relax,
                                 {epsilon, segment}, reinterpret_cast<int64_t*>(clicks)};
            const py::gil_scoped_release released;
            human_correction_effort_cpu(task, threads, instruction_set);
        },
        py::arg("pred"), py::arg("pred_strides"), py::arg("truth"), py::arg("truth_strides"), py::arg("skeleton"),
        py::arg("skeleton_strides"), py::arg("clicks"), py::arg("size"), py::arg("relax"), py::arg("epsilon"),
        py::arg("segment"), py::arg("threads"), py::arg("instruction_set"));
    module.def(
        "weighted_f_measure_cpu",
        [](uintptr_t pred, int64_t bytes_of_a_value, Strides pred_strides, uintptr_t gt, Strides gt_strides,
           uintptr_t range, double beta_squared, uintptr_t scores, Size size, int64_t threads, int instruction_set) {
            const auto [batch, height, width] = size;
            if (batch < 1 || height < 1 || width < 1 || !pred || !gt || !range || !scores || instruction_set < 0 ||
                instruction_set > best())
                throw std::invalid_argument("an image of at least one pixel and an instruction set are expected");
            const WeightedF task = {reinterpret_cast<const void*>(pred),
                                    reinterpret_cast<const uint8_t*>(gt),
                                    reinterpret_cast<const double*>(range),
                                    reinterpret_cast<double*>(scores),
                                    values_of(bytes_of_a_value),
                                    batch,
                                    height,
                                    width,
                                    pred_strides.first,
                                    pred_strides.second,
                                    gt_strides.first,
                                    gt_strides.second,
                                    beta_squared};
            const py::gil_scoped_release released;
            weighted_f_measure_cpu(task, threads, instruction_set);
        },
        py::arg("pred"), py::arg("bytes_of_a_value"), py::arg("pred_strides"), py::arg("gt"), py::arg("gt_strides"),
        py::arg("range"), py::arg("beta_squared"), py::arg("scores"), py::arg("size"), py::arg("threads"),
        py::arg("instruction_set"));
#if defined(DISLAYERS_CUDA)
    module.attr("dilate_cuda_iterations") = dilate_cuda_iterations;
    module.def(
        "dilate_cuda",
        [](uintptr_t mask, Strides mask_strides, uintptr_t within, Strides within_strides, uintptr_t out, Size size,
           int64_t iterations, bool square, bool flip, uintptr_t stream) {
            if (iterations > dilate_cuda_iterations) throw std::invalid_argument("too many iterations for one call");
            const auto task = dilation(mask, mask_strides, within, within_strides, out, size, iterations, square, flip);
            const py::gil_scoped_release released;
            if (const char* error = dilate_cuda(task, reinterpret_cast<void*>(stream)))
                throw std::runtime_error(std::string("dilate_cuda: ") + error);
        },
        py::arg("mask"), py::arg("mask_strides"), py::arg("within"), py::arg("within_strides"), py::arg("out"),
        py::arg("size"), py::arg("iterations"), py::arg("square"), py::arg("flip"), py::arg("stream"));
#endif
}
