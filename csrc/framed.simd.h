// Images of bytes to packed images in their frames; for `<op>.simd.cpp` only.
#pragma once

#include "framed.h"
#include "packed.simd.h"

namespace dislayers {
namespace DISLAYERS_INSTRUCTION_SET {
namespace {

void pack_plane(const uint8_t* mask, int64_t stride_row, const Frame& frame, uint64_t* plane) {
    std::memset(plane, 0, static_cast<size_t>(frame.words) * sizeof(uint64_t));
    for (int64_t row = 0; row < frame.height; ++row)
        pack_row(mask + row * stride_row, frame.width, 0, plane + frame.first_pixel + row * frame.stride, frame.packed);
}

}  // namespace
}  // namespace DISLAYERS_INSTRUCTION_SET
}  // namespace dislayers
