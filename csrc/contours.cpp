// Contours and polygons on the CPU.
#include "contours.h"

#include "api.h"
#include "border_following.h"
#include "instruction_set.h"
#include "polygon.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(pack_image, const Image& image, const Frame& frame, uint64_t* plane)

Contours::Contours(const Image& image, int instruction_set) {
    const Frame frame = framed(image.height, image.width);
    const Workspace<uint64_t> plane(1, frame.words);
    pack_image_variants[instruction_set](image, frame, plane.of(0));
    borders = std::make_unique<Borders>(plane.of(0) + frame.first_pixel, frame);
}

Contours::~Contours() = default;

int64_t Contours::count() const { return static_cast<int64_t>(borders->all.size()); }

int64_t Contours::points() const {
    int64_t sum = 0;
    for (const Border& border : borders->all) sum += border.length;
    return sum;
}

void Contours::write(const ContourList& list) const {
    std::vector<int64_t> places(borders->all.size());
    Point* point = list.points;
    int64_t place = 0;
    for (int64_t next = borders->outermost; next >= 0; ++place) {
        const Border& border = borders->all[next];
        places[next] = place;
        borders->walk(border, [&point](Point passed) { *point++ = passed; });
        list.lengths[place] = border.length;
        list.is_hole[place] = border.is_hole;
        list.parents[place] = border.parent < 0 ? -1 : places[border.parent];
        next = borders->next_in_tree(next);
    }
}

int64_t approximate_polygons_cpu(const Curves& curves, Tolerance tolerance, bool closed) {
    Polygon polygon(tolerance);
    const Point* curve = curves.points;
    Point* corner = curves.corners;
    for (int64_t i = 0; i < curves.count; ++i) {
        const int64_t length = curves.lengths[i];
        curves.corner_counts[i] = 0;
        if (length == 0) continue;
        const std::vector<Point>& corners = polygon.approximate(curve, length, closed);
        curves.corner_counts[i] = static_cast<int64_t>(corners.size());
        for (Point kept : corners) *corner++ = kept;
        curve += length;
    }
    return corner - curves.corners;
}

}  // namespace dislayers
