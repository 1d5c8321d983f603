// Images in bands of rows, for threads: what is sought above and below each band is found first, in all bands at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "nearest.h"
#include "parallel.h"
#include "workspace.h"

namespace dislayers {

// `count` bands of `rows` rows an image, the last one perhaps of fewer. With a halo, a band also looks at so many rows
// above and below its own.
class Bands {
   public:
    Bands(const Sought& sought, int64_t halo, int64_t threads)
        : sought_(sought),
          halo_(halo),
          rows_(std::clamp(cache_numbers / sought.width, std::min(sought.height, int64_t(16)), sought.height)),
          count_((sought.height + rows_ - 1) / rows_),
          edges_(2 * sought.batch * (count_ + 1), sought.width) {
        const int64_t useful = sought.batch * sought.height * sought.width / pixels_for_a_thread + 1;
        workers_ = std::clamp(threads, int64_t(1), std::min(useful, sought.batch * count_));
    }

    int64_t rows() const { return rows_; }
    int64_t workers() const { return workers_; }

    // Of each column: the nearest sought row above the halo of a band, and below it.
    const int32_t* above(int64_t image, int64_t band) const { return before(image, band); }
    const int32_t* below(int64_t image, int64_t band) const { return after(image, band + 1); }

    // Calls work(worker, image, band, first, last) for all bands, over threads.
    template <typename Work>
    void for_each(const Work& work) const {
        for_each_task(sought_.batch * count_, workers_, [&](int64_t worker, const auto& next) {
            for (int64_t i = next(); i >= 0; i = next()) {
                const int64_t band = i % count_, first = band * rows_;
                work(worker, i / count_, band, first, std::min(first + rows_, sought_.height));
            }
        });
    }

    // Finds above() and below(); pass_rows(image, first, last, down, rows) leaves in `rows` what was passed last.
    template <typename Pass>
    void find(const Pass& pass_rows) const {
        const auto inside = [&](int64_t row) { return std::clamp(row, int64_t(0), sought_.height); };
        for (int64_t image = 0; image < sought_.batch; ++image) {
            std::fill_n(before(image, 0), sought_.width, nothing_above());
            std::fill_n(after(image, count_), sought_.width, nothing_below());
        }
        for_each([&](int64_t, int64_t image, int64_t band, int64_t first, int64_t last) {
            int32_t *down = before(image, band + 1), *up = after(image, band);
            std::fill_n(down, sought_.width, nothing_above());
            std::fill_n(up, sought_.width, nothing_below());
            // The outermost bands also see what no halo leaves to others.
            pass_rows(image, inside(first - halo_), band + 1 < count_ ? inside(last - halo_) : last, true, down);
            pass_rows(image, band > 0 ? inside(first + halo_) : first, inside(last + halo_), false, up);
        });
        for (int64_t image = 0; image < sought_.batch; ++image) gather(image);
    }

    // After find(): whether an image has any pixel that is sought.
    bool has_any(int64_t image) const {
        const int32_t* rows = before(image, count_);
        return std::any_of(rows, rows + sought_.width, [](int32_t row) { return row >= 0; });
    }

   private:
    // Numbers of a band that should fit a core's second-level cache.
    static constexpr int64_t cache_numbers = 96 * 1024;
    // Pixels below which a second thread costs more than it brings.
    static constexpr int64_t pixels_for_a_thread = 1 << 16;

    // Rows so far outside that every pixel inside is nearer.
    int32_t nothing_above() const { return static_cast<int32_t>(-(sought_.height + sought_.width)); }
    int32_t nothing_below() const { return static_cast<int32_t>(2 * sought_.height + sought_.width); }

    // Of each column: the last sought row before a cut between bands, the first one after it.
    int32_t* before(int64_t image, int64_t cut) const { return edges_.of(2 * (image * (count_ + 1) + cut)); }
    int32_t* after(int64_t image, int64_t cut) const { return edges_.of(2 * (image * (count_ + 1) + cut) + 1); }

    // From what the bands beside each cut have to what all bands before and after it have.
    void gather(int64_t image) const {
        const auto merge = [&](const int32_t* from, int32_t* to, auto nearer) {
            std::transform(from, from + sought_.width, to, to, nearer);
        };
        for (int64_t cut = 1; cut <= count_; ++cut)
            merge(before(image, cut - 1), before(image, cut), [](int32_t a, int32_t b) { return std::max(a, b); });
        for (int64_t cut = count_ - 1; cut >= 0; --cut)
            merge(after(image, cut + 1), after(image, cut), [](int32_t a, int32_t b) { return std::min(a, b); });
    }

    Sought sought_;
    int64_t halo_, rows_, count_, workers_;
    Workspace<int32_t> edges_;
};

}  // namespace dislayers
