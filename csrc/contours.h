// Contours of a binary image, and polygons that approximate curves.
#pragma once

#include <cstdint>
#include <memory>

namespace dislayers {

struct Point {
    int32_t x, y;

    bool operator==(Point other) const { return x == other.x && y == other.y; }
};

// Bytes, nonzero = true, with unit stride between columns.
struct Image {
    const uint8_t* mask;
    int64_t height, width, stride_row;
};

// Where the contours of an image are written, in the order of a tree: each before those in it, the last found first.
struct ContourList {
    Point* points;
    int64_t* lengths;
    bool* is_hole;
    int64_t* parents;
};

class Borders;

// How many contours and points there are is known only once they are found.
class Contours {
  public:
    Contours(const Image& image, int instruction_set);
    ~Contours();

    int64_t count() const;
    int64_t points() const;
    void write(const ContourList& list) const;

  private:
    std::unique_ptr<const Borders> borders;
};

// How far a curve may be from its polygon, and from what of it: from the line through two corners, or the segment.
struct Tolerance {
    double epsilon;
    bool segment;
};

// Curves one after another, and their polygons likewise; a polygon has no more points than its curve.
struct Curves {
    const Point* points;
    const int64_t* lengths;
    int64_t count;
    Point* corners;
    int64_t* corner_counts;
};

}  // namespace dislayers
