// Border following after Suzuki and Abe (1985), with the starts, directions and order of OpenCV's findContours.
//
// Every pixel edge between a pixel of the image and one of the background belongs to one border. A row's run of pixels
// has a left and a right edge: the run whose left edge is the first of its region in raster order starts an outer
// border there, the one whose right edge is the first of a hole's starts the border of the hole. So to know which
// borders are found is to know them for the edges of runs.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "contours.h"
#include "framed.h"
#include "packed.h"

namespace dislayers {

// Directions are numbered from east, counterclockwise: E NE N NW W SW S SE.
constexpr int8_t column_steps[8] = {1, 1, 0, -1, -1, -1, 0, 1};
constexpr int8_t row_steps[8] = {0, -1, -1, -1, 0, 1, 1, 1};

inline Point moved(Point from, int direction) {
    return {from.x + column_steps[direction], from.y + row_steps[direction]};
}

struct Border {
    Point start;
    bool is_hole;
    // Where its steps begin, and how many there are: one for each point, the last leads back to the start.
    int64_t first_step, length;
    // The border around it, the last found of those in it, the one found before it in the same border; -1 for none.
    int64_t parent, child, sibling;
};

// How a border goes on, by a pixel's 3x3 pixels and the direction to the pixel that it came from: the direction that
// comes next (3 bits), and whether the west or east edge of the pixel lies between, counterclockwise.
constexpr uint8_t west_edge = 8, east_edge = 16;

struct Turns {
    uint8_t of[512][8];

    constexpr Turns() : of{} {
        for (int pixels = 0; pixels < 512; ++pixels)
            for (int from = 0; from < 8; ++from) {
                uint8_t edges = 0;
                int next = from;
                for (int i = 1; i <= 8; ++i) {
                    next = (from + i) % 8;
                    const int bit = 3 * (1 + row_steps[next]) + 1 + column_steps[next];
                    if (pixels >> bit & 1) break;
                    edges |= next == 4 ? west_edge : next == 0 ? east_edge : 0;
                }
                of[pixels][from] = static_cast<uint8_t>(next | edges);
            }
    }
};

// All borders of a framed image, in the order in which a raster scan finds them. Needs the image only while it is made.
class Borders {
  public:
    Borders(const uint64_t* pixels, const Frame& frame) : pixels(pixels), frame(frame) {
        count_runs();
        for (int direction = 0; direction < 8; ++direction)
            offsets[direction] = column_steps[direction] + row_steps[direction] * 64 * frame.stride;
        for (int64_t row = 0; row < frame.height; ++row) scan(row);
    }

    std::vector<Border> all;
    // The last found of the borders that are in no other.
    int64_t outermost = -1;

    // The border that follows in pre-order, siblings from the last found on; -1 after the last.
    int64_t next_in_tree(int64_t border) const {
        if (all[border].child >= 0) return all[border].child;
        while (border >= 0 && all[border].sibling < 0) border = all[border].parent;
        return border < 0 ? -1 : all[border].sibling;
    }

    // Calls visit(point) for each point of a border.
    template <typename Visit>
    void walk(const Border& border, const Visit& visit) const {
        Point point = border.start;
        const uint8_t* steps = this->steps.get() + border.first_step;
        for (int64_t i = 0; i < border.length; ++i) {
            visit(point);
            point = moved(point, steps[i]);
        }
    }

  private:
    // For the two edges of a run, 1 + the border that they belong to, or 0.
    struct Run {
        int32_t left, right;
    };

    uint64_t ends(int64_t word) const { return pixels[word] & ~(pixels[word] >> 1 | pixels[word + 1] << 63); }

    // Each step of a border passes at least one edge of a pixel, so there are no more steps than edges.
    void count_runs() {
        runs_before = std::unique_ptr<int32_t[]>(new int32_t[static_cast<size_t>(frame.height * frame.stride + 1)]);
        int64_t runs = 0, flat_edges = 0;
        for (int64_t row = 0; row < frame.height; ++row) {
            const int64_t first = row * frame.stride;
            for (int64_t i = first; i < first + frame.packed; ++i) {
                const uint64_t word = pixels[i];
                runs_before[i] = static_cast<int32_t>(runs);
                if (word == 0) continue;
                runs += count_bits(ends(i));
                flat_edges += count_bits(word & ~pixels[i - frame.stride]);
                flat_edges += count_bits(word & ~pixels[i + frame.stride]);
            }
            runs_before[first + frame.stride] = static_cast<int32_t>(runs);
        }
        // The last one is written where a pixel has no such edge.
        edges = std::vector<Run>(static_cast<size_t>(runs) + 1);
        nowhere = runs;
        steps = std::unique_ptr<uint8_t[]>(new uint8_t[static_cast<size_t>(2 * runs + flat_edges)]);
    }

    void scan(int64_t row) {
        const int64_t first = row * frame.stride, before = runs_before[first];
        const int64_t after = runs_before[first + frame.stride];
        int64_t run = before;
        for (int64_t word = first; run < after; ++word)
            for (uint64_t left = pixels[word] ? ends(word) : 0; left; left &= left - 1, ++run) {
                const int64_t end = 64 * word + lowest_bit(left);
                if (!edges[run].left) {
                    const int32_t neighbour = run == before ? 0 : edges[run - 1].right;
                    follow(start_of_run(end), false, neighbour - 1);
                }
                if (!edges[run].right) follow(end, true, edges[run].left - 1);
            }
    }

    bool is_set(int64_t position) const { return pixels[position >> 6] >> (position & 63) & 1; }

    int64_t start_of_run(int64_t position) const {
        while (is_set(position - 1)) position -= 1;
        return position;
    }

    // The 3x3 pixels around a position, row by row.
    int64_t around(int64_t position) const {
        const auto* middle = reinterpret_cast<const uint8_t*>(pixels) + ((position - 1) >> 3);
        const int shift = static_cast<int>((position - 1) & 7);
        const auto row = [&](int64_t offset) {
            uint16_t bits;
            std::memcpy(&bits, middle + offset * 8 * frame.stride, 2);
            return bits >> shift & 7;
        };
        return row(-1) | row(0) << 3 | row(1) << 6;
    }

    void own(int64_t position, uint8_t turn, int32_t border) {
        const int64_t word = position >> 6;
        const uint64_t earlier = ends(word) & ((uint64_t(1) << (position & 63)) - 1);
        const int64_t run = runs_before[word] + count_bits(earlier);
        edges[turn & west_edge ? run : nowhere].left = border;
        edges[turn & east_edge ? run : nowhere].right = border;
    }

    // `known` is a border that passes the same background, or for a hole the same pixels; -1 for the image's frame.
    void follow(int64_t start, bool is_hole, int64_t known) {
        static constexpr Turns turns;
        const int64_t number = static_cast<int64_t>(all.size());
        const int64_t parent = known >= 0 && all[known].is_hole == is_hole ? all[known].parent : known;
        int64_t& sibling = parent < 0 ? outermost : all[parent].child;
        const int64_t row = start / (64 * frame.stride);
        const Point point = {static_cast<int32_t>(start - row * 64 * frame.stride), static_cast<int32_t>(row)};
        const Border border = {point, is_hole, taken, 0, parent, -1, sibling};
        sibling = number;

        // Backwards from the background: the last of the pixels that a border comes from to the start.
        int first = is_hole ? 0 : 4, looked = 0;
        while (looked < 8 && !is_set(start + offsets[first = (first + 7) % 8])) ++looked;
        int64_t position = start;
        int from = first;
        do {
            const uint8_t turn = turns.of[around(position)][from];
            own(position, turn, static_cast<int32_t>(number + 1));
            steps[taken++] = turn & 7;
            if (looked == 8) break;
            position += offsets[turn & 7];
            from = (turn + 4) & 7;
        } while (position != start || from != first);
        all.push_back(border);
        all.back().length = taken - border.first_step;
    }

    const uint64_t* pixels;
    const Frame frame;
    int64_t offsets[8];
    std::unique_ptr<int32_t[]> runs_before;
    std::vector<Run> edges;
    int64_t nowhere = 0;
    std::unique_ptr<uint8_t[]> steps;
    int64_t taken = 0;
};

}  // namespace dislayers
