// Multi-scale depthwise convolutions on a GPU. A block takes a tile of one channel with all that its kernels reach into
// shared memory, and every convolution runs from there: an element is read once and written once. Backward is cut into
// three kernels, each with what fits into half of a multiprocessor: the columns of the strips, their rows, the square.
#include "api.h"
#include "multiscale_conv_attention.cuda.h"

namespace dislayers {
namespace {

// Where a block is: its plane, and the image's row and column of its tile.
struct Place {
    int64_t sample, channel, part;
    int top, left;
};

__device__ Place place_of_block(const GpuDepthwise& task) {
    const unsigned across = (static_cast<unsigned>(task.width) + tile - 1) / tile;
    return {blockIdx.z, blockIdx.y, int64_t(blockIdx.z) * gridDim.x + blockIdx.x,
            static_cast<int>(blockIdx.x / across * tile), static_cast<int>(blockIdx.x % across * tile)};
}

__device__ Extent extent_of(const GpuDepthwise& task) {
    return {static_cast<int>(task.height), static_cast<int>(task.width)};
}

template <typename Number>
__device__ Plane<Number> plane_of(const GpuMap& map, const GpuDepthwise& task, const Place& place) {
    Number* first = static_cast<Number*>(map.data) + place.sample * map.batch_stride;
    return {extent_of(task), first + place.channel * map.channel_stride, map.row_stride};
}

__device__ Plane<float> plane_of_a(const GpuDepthwise& task, const Place& place) {
    const Extent extent = extent_of(task);
    const int pitch = (extent.width + quantum - 1) / quantum * quantum;
    return {extent, task.of_a + (place.sample * task.channels + place.channel) * extent.height * pitch, pitch};
}

using Default = Passes<5, 7, 11, 21>;

// Floats of shared memory of a kernel: the parameters, and two regions that its passes share.
template <int of_first, int of_second>
struct Room {
    static constexpr int bytes = 4 * (Default::parameter_room + of_first + of_second);

    float* const numbers = dynamic_shared();
    float* const first = numbers + Default::parameter_room;
    float* const second = first + of_first;
};

HOST_DEVICE constexpr int at_least(int a, int b) { return a > b ? a : b; }

using PartialSums = Partials<Default::items>;

using ForwardRoom = Room<Default::of_side, Default::of_rows>;
using ColumnsRoom = Room<at_least(Default::of_side, PartialSums::floats(Default::parameters_of_columns)),
                         Default::of_rows>;
using RowsRoom = Room<Default::of_side, Default::of_columns + Default::of_tile>;
using SquareRoom = Room<Default::of_square, Default::of_tile + PartialSums::floats(Default::parameters_of_square)>;

__device__ void load_parameters(const GpuDepthwise& task, const Place& place, float* to) {
    const float* from = task.parameters + place.channel * Default::parameters;
    for_each<Default::parameters>([&](int i) { to[i] = from[i]; });
}

// a into the first region and its rows into the second.
template <typename Number, typename Shared>
__device__ void a_and_rows(const GpuDepthwise& task, const Place& place, const Shared& room) {
    constexpr int reach = Default::reach, outer = reach + Default::margin, x_side = Default::x_side;
    const Plane<Number> x = plane_of<Number>(task.x, task, place);
    load_parameters(task, place, room.numbers);
    load_tile<x_side, x_side>(x, place.top - outer, place.left - outer, room.second);
    __syncthreads();
    Default::square<Default::side, Default::rows_of_square>(room.second, room.numbers, x, place.top - reach,
                                                            place.left - reach, room.first);
    __syncthreads();
    Default::rows(room.first, room.numbers, x, place.top, place.left, room.second);
    __syncthreads();
}

template <typename Number>
__global__ void __launch_bounds__(threads, 2) forward_kernel(GpuDepthwise task) {
    const ForwardRoom room;
    const Place place = place_of_block(task);
    a_and_rows<Number>(task, place, room);
    Default::columns(room.first, room.second, room.numbers, plane_of<Number>(task.out, task, place), place.top, place.left);
}

__device__ float* partials_of(const GpuDepthwise& task, const Place& place) {
    return task.partials + (place.part * task.channels + place.channel) * Default::parameters;
}

template <typename Number>
__global__ void __launch_bounds__(threads, 2) columns_backward_kernel(GpuDepthwise task) {
    const ColumnsRoom room;
    const Place place = place_of_block(task);
    a_and_rows<Number>(task, place, room);
    const PartialSums partials = {room.first};
    Default::taps_of_columns(plane_of<Number>(task.gradient, task, place), room.second, place.top, place.left, partials);
    float* const out = partials_of(task, place);
    partials.reduce<Default::parameters_of_columns>([&](int tap, float sum) {
        int place = 0;
        Default::for_each_strip([&](auto strip) {
            if (tap >= strip.taps_before) place = strip.column + tap - strip.taps_before;
        });
        out[place] = sum;
    });
}

template <typename Number>
__global__ void __launch_bounds__(threads, 2) rows_backward_kernel(GpuDepthwise task) {
    constexpr int reach = Default::reach, side = Default::side, margin = Default::margin;
    constexpr int x_side = tile + 2 * margin;
    const RowsRoom room;
    float* const a = room.second + Default::of_columns;
    const Place place = place_of_block(task);
    const Plane<Number> gradient = plane_of<Number>(task.gradient, task, place), x = plane_of<Number>(task.x, task, place);
    load_parameters(task, place, room.numbers);
    load_tile<side, side>(gradient, place.top - reach, place.left - reach, room.first);
    __syncthreads();
    Default::columns_back(room.first, room.numbers, gradient, place.top, place.left, room.second);
    __syncthreads();
    Default::rows_back(room.first, room.second, room.numbers, plane_of_a(task, place), place.top, place.left);
    __syncthreads();
    load_tile<x_side, x_side>(x, place.top - margin, place.left - margin, room.first);
    __syncthreads();
    Default::square<tile, 4>(room.first, room.numbers, x, place.top, place.left, a);
    __syncthreads();
    const PartialSums partials = {room.first};
    float* const out = partials_of(task, place);
    Default::for_each_strip([&](auto strip) {
        using Own = decltype(strip);
        Default::taps_of_row<Own>(a, room.second, x, place.top, partials);
        partials.reduce<Own::length + 1>([&](int tap, float sum) { out[Own::row + tap] = sum; });
        __syncthreads();
    });
}

template <typename Number>
__global__ void __launch_bounds__(threads, 2) square_backward_kernel(GpuDepthwise task) {
    constexpr int margin = Default::margin, side = tile + 2 * margin;
    const SquareRoom room;
    const Place place = place_of_block(task);
    const PartialSums partials = {room.second + Default::of_tile};
    load_parameters(task, place, room.numbers);
    load_tile<side, side>(plane_of_a(task, place), place.top - margin, place.left - margin, room.first);
    load_tile<tile, tile>(plane_of<Number>(task.x, task, place), place.top, place.left, room.second);
    __syncthreads();
    Default::square_back(room.first, room.numbers, room.second, partials);
    float* const out = partials_of(task, place);
    partials.reduce<Default::parameters_of_square>([&](int tap, float sum) { out[tap] = sum; });
    store_tile<tile>(room.second, plane_of<Number>(task.out, task, place), place.top, place.left);
}

// Joins what all tiles of all samples give to a parameter, in their order.
__global__ void __launch_bounds__(threads) join_kernel(GpuDepthwise task, int64_t parts) {
    const int64_t count = task.channels * Default::parameters, first = int64_t(blockIdx.x) * threads;
    for_each<threads>([&](int thread) {
        const int64_t i = first + thread;
        if (i >= count) return;
        double sum = 0;
#pragma unroll 4
        for (int64_t part = 0; part < parts; ++part) sum += static_cast<double>(task.partials[part * count + i]);
        task.parameter_gradients[i] = static_cast<float>(sum);
    });
}

template <typename... Parameters>
const char* launch(void (*kernel)(Parameters...), dim3 blocks, int bytes, void* stream, Parameters... arguments) {
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaLaunchConfig_t config = {};
    config.gridDim = blocks;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = static_cast<size_t>(bytes);
    config.stream = static_cast<cudaStream_t>(stream);
    if (!error) error = cudaLaunchKernelEx(&config, kernel, arguments...);
    return error ? cudaGetErrorString(error) : nullptr;
}

// visit(a number of the type that the maps have)
template <typename Visit>
const char* visit_number(Precision precision, const Visit& visit) {
    if (precision == Precision::bfloat16) return visit(BFloat16{});
    if (precision == Precision::float16) return visit(Float16{});
    return visit(0.0f);
}

// A block for every tile, channel and sample.
dim3 blocks_of(const GpuDepthwise& task) {
    const int64_t tiles = ((task.height + tile - 1) / tile) * ((task.width + tile - 1) / tile);
    return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(task.channels), static_cast<unsigned>(task.batch));
}

}  // namespace

const int64_t multiscale_depthwise_shared = ForwardRoom::bytes;
const int64_t multiscale_depthwise_backward_shared =
    at_least(ColumnsRoom::bytes, at_least(RowsRoom::bytes, SquareRoom::bytes));

const char* multiscale_depthwise_cuda(const GpuDepthwise& task, void* stream) {
    return visit_number(task.precision, [&](auto number) {
        return launch(forward_kernel<decltype(number)>, blocks_of(task), ForwardRoom::bytes, stream, task);
    });
}

const char* multiscale_depthwise_backward_cuda(const GpuDepthwise& task, void* stream) {
    const dim3 blocks = blocks_of(task);
    const int64_t parts = task.batch * blocks.x;
    const int64_t joined = (task.channels * Default::parameters + threads - 1) / threads;
    const char* error = visit_number(task.precision, [&](auto number) {
        using Number = decltype(number);
        const char* error = launch(columns_backward_kernel<Number>, blocks, ColumnsRoom::bytes, stream, task);
        if (!error) error = launch(rows_backward_kernel<Number>, blocks, RowsRoom::bytes, stream, task);
        if (!error) error = launch(square_backward_kernel<Number>, blocks, SquareRoom::bytes, stream, task);
        return error;
    });
    return error ? error : launch(join_kernel, dim3(static_cast<unsigned>(joined)), 0, stream, task, parts);
}

}  // namespace dislayers
