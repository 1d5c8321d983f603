// The Laplacian boundary loss on the CPU: bands of rows over threads; sums of bands are added in their order.
#include <algorithm>

#include "api.h"
#include "instruction_set.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(boundary_loss, const BoundaryLoss& task, int64_t plane, int64_t first, int64_t last, float* room, double* sum)
VARIANTS(boundary_gradient, const BoundaryGradient& task, int64_t plane, int64_t first, int64_t last, float* room)

namespace {

constexpr int64_t rows_of_a_band = 64;

// Calls work(room, plane, band, first, last) for every band of every plane.
template <typename Work>
void for_each_band(const Boundary& boundary, int64_t bands, int64_t threads, const Work& work) {
    const int64_t workers = std::max(int64_t(1), std::min(threads, boundary.planes * bands));
    const Workspace<float> rooms(workers, boundary_rows * boundary_stride(boundary.width));
    for_each_task(boundary.planes * bands, workers, [&](int64_t worker, const auto& next) {
        for (int64_t i = next(); i >= 0; i = next()) {
            const int64_t first = i % bands * rows_of_a_band;
            const int64_t last = std::min(first + rows_of_a_band, boundary.height);
            work(rooms.of(worker), i / bands, i % bands, first, last);
        }
    });
}

int64_t bands_of(const Boundary& boundary) { return (boundary.height + rows_of_a_band - 1) / rows_of_a_band; }

}  // namespace

void laplacian_boundary_cpu(const BoundaryLoss& task, int64_t threads, int instruction_set) {
    const int64_t bands = bands_of(task.boundary);
    std::vector<double> sums(static_cast<size_t>(task.boundary.planes * bands));
    const auto band_loss = boundary_loss_variants[instruction_set];
    for_each_band(task.boundary, bands, threads,
                  [&](float* room, int64_t plane, int64_t band, int64_t first, int64_t last) {
                      band_loss(task, plane, first, last, room, sums.data() + plane * bands + band);
                  });
    for (int64_t plane = 0; plane < task.boundary.planes; ++plane) {
        double loss = 0;
        for (int64_t band = 0; band < bands; ++band) loss += sums[static_cast<size_t>(plane * bands + band)];
        task.losses[plane] = loss;
    }
}

void laplacian_boundary_backward_cpu(const BoundaryGradient& task, int64_t threads, int instruction_set) {
    const auto band_gradient = boundary_gradient_variants[instruction_set];
    for_each_band(task.boundary, bands_of(task.boundary), threads,
                  [&](float* room, int64_t plane, int64_t, int64_t first, int64_t last) {
                      band_gradient(task, plane, first, last, room);
                  });
}

}  // namespace dislayers
