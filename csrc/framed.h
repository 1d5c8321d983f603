// A packed image in a frame of zeros, so that the neighbours of a pixel at an edge need no case of their own.
#pragma once

#include "packed.h"

namespace dislayers {

// A row of zeros lies above and below, eight words of zeros before and after each row; rows are aligned for any vector.
// Of the plane's words, row y takes `packed` from first_pixel + y * stride on.
struct Frame {
    int64_t height, width, packed, stride, first_pixel, words;
};

namespace {

inline Frame framed(int64_t height, int64_t width) {
    const int64_t packed = packed_stride(width), stride = packed + 8;
    return {height, width, packed, stride, stride + 8, (height + 2) * stride + 8};
}

}  // namespace
}  // namespace dislayers
