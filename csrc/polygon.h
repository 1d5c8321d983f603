// Polygons through some points of a curve after Douglas and Peucker (1973), with OpenCV's start, ties and last pass.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "contours.h"

namespace dislayers {


class Polygon {
  public:
    explicit Polygon(Tolerance tolerance)
        : epsilon_squared(tolerance.epsilon * tolerance.epsilon), segment(tolerance.segment) {}

    // The polygon of a curve of at least one point; it lasts until the next call.
    const std::vector<Point>& approximate(const Point* curve, int64_t count, bool closed) {
        corners.clear();
        if (closed || curve[0] == curve[count - 1])
            split_ring(curve, count, closed ? 3 : 1);
        else
            split(curve, {count - 1});
        remove_straight_corners(closed);
        return corners;
    }

  private:
    // From two points that are about furthest apart.
    void split_ring(const Point* curve, int64_t count, int searches) {
        int64_t start = 0, furthest = 0, square = 0;
        for (int i = 0; i < searches; ++i) {
            start = (start + furthest) % count;
            furthest = square = 0;
            for (int64_t j = 1; j < count; ++j) {
                const Point point = curve[start + j < count ? start + j : start + j - count];
                const int64_t x = int64_t(point.x) - curve[start].x, y = int64_t(point.y) - curve[start].y;
                if (x * x + y * y > square) {
                    square = x * x + y * y;
                    furthest = j;
                }
            }
        }
        if (static_cast<double>(square) <= epsilon_squared) return corners.push_back(curve[start]);
        ring.assign(curve + start, curve + count);
        ring.insert(ring.end(), curve, curve + start + 1);
        split(ring.data(), {count, furthest});
        corners.pop_back();
    }

    // Appends the first point and the corners up to the last; `ends`, last first, are corners in any case.
    void split(const Point* curve, std::initializer_list<int64_t> ends) {
        waiting.assign(ends);
        corners.push_back(curve[0]);
        for (int64_t start = 0; !waiting.empty();) {
            const int64_t inner = waiting.back() - start - 1;
            const int64_t corner = segment ? beyond_segment(curve + start, inner) : beyond_line(curve + start, inner);
            if (corner) {
                waiting.push_back(start + corner);
            } else {
                start = waiting.back();
                waiting.pop_back();
                corners.push_back(curve[start]);
            }
        }
    }

    // The first of the points 1 ... inner that is furthest from the line through the ends, or 0 if none is too far.
    int64_t beyond_line(const Point* curve, int64_t inner) const {
        const Point start = curve[0], end = curve[inner + 1];
        const int64_t dx = int64_t(end.x) - start.x, dy = int64_t(end.y) - start.y;
        int64_t furthest = 0, most = 0;
        for (int64_t i = 1; i <= inner; ++i) {
            const int64_t x = int64_t(curve[i].x) - start.x, y = int64_t(curve[i].y) - start.y;
            const int64_t area = y * dx - x * dy, size = area < 0 ? -area : area;
            furthest = size > most ? i : furthest;
            most = size > most ? size : most;
        }
        const double area = static_cast<double>(most);
        return area * area <= epsilon_squared * static_cast<double>(dx * dx + dy * dy) ? 0 : furthest;
    }

    // The same by the distance from the segment.
    int64_t beyond_segment(const Point* curve, int64_t inner) const {
        const Point start = curve[0], end = curve[inner + 1];
        const int64_t dx = int64_t(end.x) - start.x, dy = int64_t(end.y) - start.y, length = dx * dx + dy * dy;
        int64_t furthest = 0;
        double most = 0;
        for (int64_t i = 1; i <= inner; ++i) {
            const int64_t x = int64_t(curve[i].x) - start.x, y = int64_t(curve[i].y) - start.y;
            const int64_t along = x * dx + y * dy;
            const double area = static_cast<double>(y * dx - x * dy);
            double square = area * area / static_cast<double>(length);
            if (along < 0) square = static_cast<double>(x * x + y * y);
            if (along > length) square = static_cast<double>((x - dx) * (x - dx) + (y - dy) * (y - dy));
            if (square > most) {
                furthest = i;
                most = square;
            }
        }
        return most <= epsilon_squared ? 0 : furthest;
    }

    // Of two such corners in a row the second stays. The polygon is rewritten in place while it is read: at its end,
    // the first corners of a closed one are read as rewritten.
    void remove_straight_corners(bool closed) {
        const int64_t count = static_cast<int64_t>(corners.size());
        const auto after = [count](int64_t i) { return i + 1 < count ? i + 1 : 0; };
        int64_t remaining = count, write = closed ? 0 : after(0), read = after(write);
        Point before = closed ? corners[count - 1] : corners[0], corner = corners[write];
        for (int64_t step = closed ? 0 : 1; step < (closed ? count : count - 1) && remaining > 2; ++step) {
            Point next = corners[read];
            read = after(read);
            if (is_nearly_straight(before, corner, next)) {
                before = corners[write] = next;
                corner = corners[read];
                read = after(read);
                remaining -= 1;
                step += 1;
            } else {
                before = corners[write] = corner;
                corner = next;
            }
            write = after(write);
        }
        if (!closed) corners[write] = corner;
        corners.resize(static_cast<size_t>(remaining));
    }

    bool is_nearly_straight(Point before, Point corner, Point after) const {
        const int64_t dx = int64_t(after.x) - before.x, dy = int64_t(after.y) - before.y;
        const int64_t x = int64_t(corner.x) - before.x, y = int64_t(corner.y) - before.y;
        if (dx == 0 || dy == 0 || x * (dx - x) + y * (dy - y) < 0) return false;
        const double area = static_cast<double>(x * dy - y * dx);
        return area * area <= 0.5 * epsilon_squared * static_cast<double>(dx * dx + dy * dy);
    }

    const double epsilon_squared;
    const bool segment;
    std::vector<Point> corners, ring;
    std::vector<int64_t> waiting;
};

}  // namespace dislayers
