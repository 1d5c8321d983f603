// test_deep_supervision SEED COUNT [FIRST]: sums and gradients of COUNT random lists of side outputs by every
// instruction set, against loops in float64 over the pixels of the upsampled maps. The formulas of a pixel are those of
// csrc/pixel_formulas.simd.h, which test_pixel_loss compares with their definition.
#include <cmath>
#include <cstdio>
#include <deque>
#include <limits>

#include "../../csrc/api.h"
#include "../../csrc/pixel_formulas.simd.h"
#include "cases.h"
#include "images.h"

namespace {

using namespace dislayers;
using Doubles = std::vector<double>;

constexpr float no_label = std::numeric_limits<float>::quiet_NaN();

// Numbers beside memory that is not theirs.
template <typename Value>
class Room {
  public:
    Room(Random& random, int64_t count)
        : count_(count),
          memory_(count * static_cast<int64_t>(sizeof(Value)), random.one_of({Guard::before, Guard::after})) {}

    Value* data() const { return reinterpret_cast<Value*>(memory_.data()); }
    std::vector<Value> copy() const { return {data(), data() + count_}; }
    int64_t count() const { return count_; }
    bool margin_is_intact() const { return memory_.margin_is_intact(); }

  private:
    int64_t count_;
    Guarded memory_;
};

// Side outputs, their target, and what is found for them.
struct Case {
    Case(Random& random, Size size)
        : size(size), bytes(random.one_in(2)), formula(static_cast<Formula>(random.between(0, formulas - 1))),
          count(random.between(1, 3)), target(random, size.pixels() * (bytes ? 1 : 4)),
          sums(random, count * size.batch * shape().sums),
          coefficients(random, count * size.batch * shape().coefficients) {
        const bool some_are_ignored = random.one_in(2);
        ignored = some_are_ignored ? 2 : no_label;
        for (float& option : options) option = random.one_of({1.0f, 2.0f, 2.5f});
        for (int64_t i = 0; i < coefficients.count(); ++i) coefficients.data()[i] = number(random, 2);
        for (int64_t i = 0; i < size.pixels(); ++i) set_label(i, random.between(0, some_are_ignored ? 2 : 1));
        for (int64_t i = 0; i < count; ++i) add_side(random);
    }

    const FormulaShape& shape() const { return formula_shapes[static_cast<int>(formula)]; }

    DeepSupervision task() const {
        DeepSupervision task = {sides.data(), count, size.batch, size.height, size.width, target.data(), bytes, formula,
                                {}, ignored, sums.data(), coefficients.data()};
        for (int i = 0; i < most_options; ++i) task.options[i] = options[i];
        return task;
    }

    float label(int64_t i) const { return bytes ? target.data()[i] : reinterpret_cast<float*>(target.data())[i]; }

    static constexpr int64_t formulas = sizeof formula_shapes / sizeof *formula_shapes;
    Size size;
    bool bytes;
    Formula formula;
    int64_t count;
    float ignored, options[most_options];
    Room<uint8_t> target;
    Room<double> sums;
    Room<float> coefficients;
    std::deque<Room<float>> logits, gradients;
    std::vector<SideOutput> sides;

  private:
    static float number(Random& random, float most) {
        return static_cast<float>(random.between(-1000, 1000)) * most / 1000;
    }

    // Floats are softer: 0, 0.9 and 2.
    void set_label(int64_t i, int64_t label) {
        if (bytes)
            target.data()[i] = static_cast<uint8_t>(label);
        else
            reinterpret_cast<float*>(target.data())[i] = label == 1 ? 0.9f : static_cast<float>(label);
    }

    static int64_t length(Random& random, int64_t full) {
        const int64_t ratio = random.one_of<int64_t>({1, 2, 2, 3, 4, 8, 16, 64});
        if (!random.one_in(3) && full % ratio == 0) return full / ratio;
        if (full % 3 == 0 && random.one_in(3)) return full / 3 * 2;
        return random.one_in(5) ? 1 : random.between(1, full + full / 2);
    }

    void add_side(Random& random) {
        const int64_t height = length(random, size.height), width = length(random, size.width);
        const int64_t pixels = size.batch * height * width;
        logits.emplace_back(random, pixels);
        gradients.emplace_back(random, pixels);
        for (int64_t i = 0; i < pixels; ++i) logits.back().data()[i] = number(random, 6);
        sides.push_back({logits.back().data(), gradients.back().data(), height, width});
    }
};

// Between which numbers of a low axis one of the full axis lies.
struct Place {
    int64_t first, second;
    double weight;

    Place(int64_t low, int64_t full, int64_t i) {
        const float scale = static_cast<float>(low) / static_cast<float>(full);
        const float place = std::fmax(scale * (static_cast<float>(i) + 0.5f) - 0.5f, 0.0f);
        first = std::min(static_cast<int64_t>(place), low - 1);
        second = std::min(first + 1, low - 1);
        weight = first == second ? 0 : static_cast<double>(place) - static_cast<double>(first);
    }
};

// The right numbers, and the sizes of what was added up for each of them.
struct Right {
    Doubles sums, sizes_of_sums;
    std::vector<Doubles> gradients, sizes_of_gradients;
};

template <typename Formula>
UNWATCHED void add_pixel(const Case& given, Right& right, int64_t number, int64_t sample, int64_t y, int64_t x) {
    const SideOutput& side = given.sides[number];
    const Place row(side.height, given.size.height, y), column(side.width, given.size.width, x);
    const int64_t start = sample * side.height * side.width;
    const int64_t corners[] = {row.first * side.width + column.first, row.first * side.width + column.second,
                               row.second * side.width + column.first, row.second * side.width + column.second};
    const double weights[] = {(1 - row.weight) * (1 - column.weight), (1 - row.weight) * column.weight,
                              row.weight * (1 - column.weight), row.weight * column.weight};
    const float label = given.label((sample * given.size.height + y) * given.size.width + x);
    if (label == given.ignored) return;
    double logit = 0;
    for (int i = 0; i < 4; ++i) logit += weights[i] * static_cast<double>(side.logits[start + corners[i]]);
    const Logits prediction(static_cast<float>(logit));
    float terms[Formula::sums];
    Formula::terms(prediction, label, given.options, terms);
    const int64_t result = number * given.size.batch + sample;
    for (int i = 0; i < Formula::sums; ++i) {
        right.sums[result * Formula::sums + i] += terms[i];
        right.sizes_of_sums[result * Formula::sums + i] += std::fabs(terms[i]) + 1;
    }
    const float* coefficients = given.coefficients.data() + result * Formula::coefficients;
    const double slope = Formula::slope(prediction, label, coefficients, given.options);
    for (int i = 0; i < 4; ++i) {
        right.gradients[number][start + corners[i]] += weights[i] * slope;
        right.sizes_of_gradients[number][start + corners[i]] += weights[i] * (std::fabs(slope) + 1);
    }
}

UNWATCHED Right expected(const Case& given) {
    Right right = {Doubles(given.sums.count()), Doubles(given.sums.count()), {}, {}};
    for (const auto& gradient : given.gradients) {
        right.gradients.emplace_back(gradient.count());
        right.sizes_of_gradients.emplace_back(gradient.count());
    }
    with_formula(given.formula, given.options, [&](auto formula) {
        for (int64_t number = 0; number < given.count; ++number)
            for (int64_t sample = 0; sample < given.size.batch; ++sample)
                for (int64_t y = 0; y < given.size.height; ++y)
                    for (int64_t x = 0; x < given.size.width; ++x)
                        add_pixel<decltype(formula)>(given, right, number, sample, y, x);
    });
    return right;
}

template <typename Value>
bool near(const char* what, const std::vector<Value>& found, const Doubles& right, const Doubles& sizes) {
    for (size_t i = 0; i < found.size(); ++i)
        if (!(std::fabs(found[i] - right[i]) <= 1e-5 * sizes[i])) {
            std::printf("%s %zu is %.9g, not %.9g: ", what, i, static_cast<double>(found[i]), right[i]);
            return false;
        }
    return true;
}

struct Found {
    Doubles sums;
    std::vector<std::vector<float>> gradients;
};

Found run(const Case& given, int64_t threads, int set) {
    deep_supervision_cpu(given.task(), threads, set);
    deep_supervision_backward_cpu(given.task(), threads, set);
    Found found = {given.sums.copy(), {}};
    for (const auto& gradient : given.gradients) found.gradients.push_back(gradient.copy());
    return found;
}

bool right_everywhere(const Case& given, const Found& found, const Right& right) {
    bool all = near("sum", found.sums, right.sums, right.sizes_of_sums) && given.sums.margin_is_intact();
    for (size_t i = 0; i < given.gradients.size(); ++i)
        all = all && given.gradients[i].margin_is_intact() &&
              near("gradient", found.gradients[i], right.gradients[i], right.sizes_of_gradients[i]);
    return all;
}

bool equal(uint64_t seed, int64_t number, const char* const* names, int best) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    const auto length = [&] { return random.one_in(4) ? random_length(random) : random.between(1, 40); };
    const Case given(random, {random.between(1, 2), length(), length()});
    const Right right = expected(given);
    for (int set = 0; set <= best; ++set) {
        const Found found = run(given, 1, set), again = run(given, random.between(2, 4), set);
        const bool same = found.sums == again.sums && found.gradients == again.gradients;
        if (same && right_everywhere(given, found, right)) continue;
        std::printf("%s: %s at %lld x %lld x %lld%s, of", names[set], given.shape().name,
                    static_cast<long long>(given.size.batch), static_cast<long long>(given.size.height),
                    static_cast<long long>(given.size.width), same ? "" : " with other numbers of threads");
        for (const SideOutput& side : given.sides)
            std::printf(" %lld x %lld", static_cast<long long>(side.height), static_cast<long long>(side.width));
        std::printf("\n");
        return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_deep_supervision", count, words, equal); }
