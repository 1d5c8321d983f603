// Thinning of one image on several threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"
#include "skeletonize.h"
#include "workspace.h"

namespace dislayers {

VARIANTS(pack_band, const Thinning& task, int64_t image, int64_t first_row, const Band& band)
VARIANTS(thin_band, const Band& band, int64_t sub_iterations, bool& removing)
VARIANTS(unpack_band, const Thinning& task, int64_t image, int64_t first_row, const Band& band)

// Bands of rows that are thinned on their own, each in its own memory: n rows above and below decide what becomes of a
// pixel in n sub-iterations. So a band has a halo of rows of its neighbours, and takes them anew as soon as it has gone
// through as many sub-iterations.
class BandedThinning {
   public:
    // The halo is an even number of rows, and no more than the rows of a band.
    BandedThinning(const Thinning& task, int64_t bands, int64_t halo, int instruction_set)
        : task_(task),
          halo_(halo),
          set_(instruction_set),
          words_(bands, thinning_words(framed((task.height + bands - 1) / bands + 2 * halo, task.width))) {
        for (int64_t i = 0; i < bands; ++i) {
            const int64_t above = i > 0 ? halo : 0, below = i + 1 < bands ? halo : 0;
            const int64_t first = i * task.height / bands - above, last = (i + 1) * task.height / bands + below;
            bands_.push_back({band_in(words_.of(i), framed(last - first, task.width), above, below), first, true});
        }
        due_.reserve(bands_.size());
    }

    void skeletonize(int64_t image, int64_t threads) {
        Step step = Step::pack;
        every_band_is_due();
        const auto next_round = [&]() -> int64_t {
            if (step == Step::unpack) return 0;
            exchange_halos();
            find_due();
            step = due_.empty() ? Step::unpack : Step::thin;
            if (due_.empty()) every_band_is_due();
            return static_cast<int64_t>(due_.size());
        };
        for_each_round(static_cast<int64_t>(due_.size()), threads, next_round, [&](int64_t i) {
            Part& part = *due_[static_cast<size_t>(i)];
            if (step == Step::pack) pack_band_variants[set_](task_, image, part.first_row, part.band);
            if (step == Step::unpack)
                unpack_band_variants[set_](task_, image, part.first_row, part.band);
            else
                thin_band_variants[set_](part.band, halo_, part.removing);
        });
    }

   private:
    enum class Step { pack, thin, unpack };
    struct Part {
        Band band;
        int64_t first_row;
        bool removing;
    };

    void every_band_is_due() {
        due_.clear();
        for (Part& part : bands_) due_.push_back(&part);
    }

    // Bands that lost pixels at the end of the round, and their neighbours.
    void find_due() {
        due_.clear();
        const auto removing = [&](size_t i) { return i < bands_.size() && bands_[i].removing; };
        for (size_t i = 0; i < bands_.size(); ++i)
            if (removing(i) || removing(i + 1) || (i > 0 && removing(i - 1))) due_.push_back(&bands_[i]);
    }

    void exchange_halos() const {
        for (size_t i = 1; i < bands_.size(); ++i) {
            const Band &upper = bands_[i - 1].band, &lower = bands_[i].band;
            const int64_t cut = upper.frame.height - halo_;
            copy_rows(upper, cut - halo_, lower, 0);
            copy_rows(lower, halo_, upper, cut);
        }
    }

    void copy_rows(const Band& from, int64_t from_row, const Band& to, int64_t to_row) const {
        const Frame& frame = from.frame;
        std::copy_n(from.words + frame.first_pixel + from_row * frame.stride, halo_ * frame.stride,
                    to.words + frame.first_pixel + to_row * frame.stride);
        for (int kind : {0, 1}) std::copy_n(from.touched[kind] + from_row, halo_, to.touched[kind] + to_row);
    }

    const Thinning& task_;
    const int64_t halo_;
    const int set_;
    const Workspace<uint64_t> words_;
    std::vector<Part> bands_;
    std::vector<Part*> due_;
};

}  // namespace dislayers
