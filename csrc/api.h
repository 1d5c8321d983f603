// What the bindings call: one function an op and device.
#pragma once

#include "batch_norm_relu.h"
#include "click_maps.h"
#include "connected_components.h"
#include "joint_histogram.h"
#include "moments.h"
#include "distance_transform.h"
#include "contours.h"
#include "deep_supervision.h"
#include "depthwise_gelu.h"
#include "human_correction_effort.h"
#include "morphology.h"
#include "multiscale_conv_attention.h"
#include "patch_threshold.h"
#include "pixel_loss.h"
#include "skeletonize.h"
#include "upsample_concat.h"
#include "weighted_f_measure.h"
#include "laplacian_boundary.h"

namespace dislayers {

void dilate_cpu(const Dilation& task, int64_t threads, int instruction_set);

void distance_transform_cpu(const DistanceTransform& task, int64_t threads, int instruction_set);

void skeletonize_cpu(const Thinning& task, int64_t threads, int instruction_set);

void connected_components_cpu(const Labelling& task, int64_t threads, int instruction_set);

void joint_histogram_cpu(const JointCounting& task, int64_t threads, int instruction_set);

void moments_cpu(const Summation& task, int64_t threads, int instruction_set);

void click_maps_cpu(const ClickMaps& task, int64_t threads, int instruction_set);

void patch_threshold_cpu(const PatchThresholds& task, int64_t threads, int instruction_set);

// How many corners the polygons have together.
int64_t approximate_polygons_cpu(const Curves& curves, Tolerance tolerance, bool closed);

void human_correction_effort_cpu(const Effort& task, int64_t threads, int instruction_set);

void weighted_f_measure_cpu(const WeightedF& task, int64_t threads, int instruction_set);

void laplacian_boundary_cpu(const BoundaryLoss& task, int64_t threads, int instruction_set);

void laplacian_boundary_backward_cpu(const BoundaryGradient& task, int64_t threads, int instruction_set);

void pixel_loss_cpu(const PixelSums& task, int64_t threads, int instruction_set);
void pixel_loss_backward_cpu(const PixelSlopes& task, int64_t threads, int instruction_set);
void deep_supervision_cpu(const DeepSupervision& task, int64_t threads, int instruction_set);
void deep_supervision_backward_cpu(const DeepSupervision& task, int64_t threads, int instruction_set);

void multiscale_depthwise_cpu(const MultiscaleDepthwise& task, int64_t threads, int instruction_set);
void multiscale_depthwise_backward_cpu(const MultiscaleDepthwise& task, int64_t threads, int instruction_set);

void depthwise_gelu_cpu(const DepthwiseGelu& task, int64_t threads, int instruction_set);
void depthwise_gelu_backward_cpu(const DepthwiseGelu& task, int64_t threads, int instruction_set);

// With d_residual where residual and d_pooled are there, and without where not; normalize_relu_cpu takes the statistics.
void batch_norm_relu_cpu(const BatchNormRelu& task, int64_t threads, int instruction_set);
void normalize_relu_cpu(const BatchNormRelu& task, int64_t threads, int instruction_set);
void batch_norm_relu_backward_cpu(const BatchNormRelu& task, int64_t threads, int instruction_set);
void upsample_concat_cpu(const UpsampleConcat& task, int64_t threads, int instruction_set);
void upsample_concat_backward_cpu(const UpsampleConcat& task, int64_t threads, int instruction_set);

// Queues on the stream (a cudaStream_t) of the current device; at most `dilate_cuda_iterations` a call. The
// text of the error, or null.
constexpr int64_t dilate_cuda_iterations = 32;
const char* dilate_cuda(const Dilation& task, void* stream);

// Bytes of shared memory that a block needs: a GPU that gives less takes no such launch.
extern const int64_t multiscale_depthwise_shared, multiscale_depthwise_backward_shared;
const char* multiscale_depthwise_cuda(const GpuDepthwise& task, void* stream);
const char* multiscale_depthwise_backward_cuda(const GpuDepthwise& task, void* stream);

}  // namespace dislayers
