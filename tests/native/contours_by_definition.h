// Contours by a walk over labelled pixels: what the kernels are compared with.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../../csrc/contours.h"

namespace dislayers {

struct Contour {
    std::vector<Point> points;
    bool is_hole;
    int64_t parent;

    bool operator==(const Contour& other) const {
        return points == other.points && is_hole == other.is_hole && parent == other.parent;
    }
};

// Suzuki and Abe as published, with a label for each pixel; label n + 1 is border n, border 0 the frame.
class ContoursByDefinition {
  public:
    template <typename Set>
    ContoursByDefinition(int64_t height, int64_t width, const Set& set)
        : width(width + 2), labels((height + 2) * (width + 2)) {
        for (int64_t y = 0; y < height; ++y)
            for (int64_t x = 0; x < width; ++x) at(x, y) = set(x, y);
        found.push_back({{}, true, -1});
        for (int64_t y = 0; y < height; ++y) {
            int64_t last = 0;
            for (int64_t x = 0; x < width; ++x) {
                const bool outer = at(x, y) == 1 && at(x - 1, y) == 0, hole = at(x, y) > 0 && at(x + 1, y) == 0;
                if (hole && at(x, y) > 1) last = at(x, y) - 1;
                if (outer || hole) follow(x, y, !outer, found[last].is_hole == !outer ? found[last].parent : last);
                if (at(x, y) != 0 && at(x, y) != 1) last = std::labs(at(x, y)) - 1;
            }
        }
        append_in(0, -1);
    }

    std::vector<Contour> in_order;

  private:
    static constexpr int dx[8] = {1, 1, 0, -1, -1, -1, 0, 1}, dy[8] = {0, -1, -1, -1, 0, 1, 1, 1};

    int64_t& at(int64_t x, int64_t y) { return labels[(y + 1) * width + x + 1]; }

    void follow(int64_t x, int64_t y, bool is_hole, int64_t parent) {
        const int64_t label = static_cast<int64_t>(found.size()) + 1;
        found.push_back({{}, is_hole, parent});
        int start = is_hole ? 8 : 4, tried = 0;
        for (; tried < 8; ++tried) {
            start = (start + 7) % 8;
            if (at(x + dx[start], y + dy[start])) break;
        }
        int64_t now_x = x, now_y = y;
        int back = start;
        do {
            found.back().points.push_back({static_cast<int32_t>(now_x), static_cast<int32_t>(now_y)});
            bool east = tried == 8;
            int next = back;
            for (int i = 1; i <= 8 && tried < 8; ++i) {
                next = (back + i) % 8;
                if (at(now_x + dx[next], now_y + dy[next])) break;
                east |= next == 0;
            }
            if (east || at(now_x, now_y) == 1) at(now_x, now_y) = east ? -label : label;
            if (tried == 8) return;
            now_x += dx[next];
            now_y += dy[next];
            back = (next + 4) % 8;
        } while (now_x != x || now_y != y || back != start);
    }

    void append_in(int64_t border, int64_t place) {
        for (int64_t i = static_cast<int64_t>(found.size()) - 1; i > 0; --i)
            if (found[i].parent == border) {
                in_order.push_back(found[i]);
                in_order.back().parent = place;
                append_in(i, static_cast<int64_t>(in_order.size()) - 1);
            }
    }

    int64_t width;
    std::vector<int64_t> labels;
    std::vector<Contour> found;
};

}  // namespace dislayers
