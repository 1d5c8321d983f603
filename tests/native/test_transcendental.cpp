// test_transcendental SEED COUNT [FIRST]: exp and log of COUNT * 1000 numbers against the standard library's in float64.
#include <cmath>
#include <cstdio>

#include "../../csrc/transcendental.simd.h"
#include "cases.h"
#include "random.h"

namespace {

using namespace dislayers;

// How far apart, in units of the last place of the right number.
double apart(float found, double right) {
    const float size = std::fmax(std::fabs(static_cast<float>(right)), smallest_normal);
    return std::fabs(found - right) / (std::nextafter(size, HUGE_VALF) - size);
}

bool near(const char* name, float x, float found, double right) {
    if (apart(found, right) <= 2) return true;
    std::printf("%s(%.9g) is %.9g, not %.9g\n", name, x, found, right);
    return false;
}

bool right_at(float x) {
    const float size = std::exp(x), near_one = 1 + x / 200;
    return near("exp", x, exponential(x), std::exp(double(x))) &&
           near("log", size, logarithm(size), std::log(double(size))) &&
           near("log", near_one, logarithm(near_one), std::log(double(near_one)));
}

bool right_at_the_ends() {
    return std::isnan(exponential(NAN)) && std::isnan(logarithm(NAN)) &&
           exponential(HUGE_VALF) > 2.3e38f && exponential(-HUGE_VALF) < 1.3e-38f && exponential(0) == 1 &&
           logarithm(0) == logarithm(smallest_normal) && logarithm(1) == 0;
}

bool equal(uint64_t seed, int64_t number, const char* const*, int) {
    Random random(seed * 1000003 + static_cast<uint64_t>(number));
    for (int i = 0; i < 1000; ++i)
        if (!right_at(static_cast<float>(random.between(-87000000, 87000000)) * 1e-6f)) return false;
    return right_at_the_ends() || (std::printf("the ends of the range\n"), false);
}

}  // namespace

int main(int count, char** words) { return for_each_case("test_transcendental", count, words, equal); }
