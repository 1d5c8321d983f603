// Images of bytes to packed images in their frames; for `<op>.simd.cpp` only.
#pragma once

#include "framed.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

// The zeros around the words of the image.
void clear_frame(const Frame& frame, uint64_t* plane) {
    const int64_t between = frame.stride - frame.packed, end = frame.first_pixel + frame.height * frame.stride;
    fill(plane, frame.first_pixel, 0);
    for (int64_t row = frame.first_pixel; row < end; row += frame.stride) fill(plane + row + frame.packed, between, 0);
    fill(plane + end, frame.words - end, 0);
}

[[maybe_unused]] void pack_plane(const uint8_t* mask, int64_t stride_row, const Frame& frame, uint64_t* plane) {
    clear_frame(frame, plane);
    for (int64_t row = 0; row < frame.height; ++row)
        pack_row(mask + row * stride_row, frame.width, 0, plane + frame.first_pixel + row * frame.stride, frame.packed);
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
