// The tables of bilinear resizing along one axis, in PyTorch's arithmetic.
#pragma once

#include <algorithm>
#include <vector>

#include "bilinear.h"

namespace dislayers {

class Resizing {
   public:
    Resizing(int64_t low, int64_t full) : begin_(static_cast<size_t>(low + 1)), weight_(static_cast<size_t>(full)) {
        const float scale = static_cast<float>(low) / static_cast<float>(full);
        auto begin = begin_.begin();
        for (int64_t x = 0; x < full; ++x) {
            const float place = std::max(scale * (static_cast<float>(x) + 0.5f) - 0.5f, 0.0f);
            const int64_t source = std::min(static_cast<int64_t>(place), low - 1);
            while (begin - begin_.begin() <= source) *begin++ = static_cast<int32_t>(x);
            weight_[static_cast<size_t>(x)] = std::min(place - static_cast<float>(source), 1.0f);
        }
        std::fill(begin, begin_.end(), static_cast<int32_t>(full));
    }

    // Valid as long as this object lives.
    Axis axis() const {
        const int64_t low = static_cast<int64_t>(begin_.size()) - 1;
        return {low, static_cast<int64_t>(weight_.size()), begin_.data(), weight_.data()};
    }

   private:
    std::vector<int32_t> begin_;
    std::vector<float> weight_;
};

}  // namespace dislayers
