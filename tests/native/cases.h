// The main loop of a test program: PROGRAM SEED COUNT [FIRST].
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "../../csrc/instruction_set.h"

// Runs COUNT cases from FIRST on; compared(seed, number, names, best) gives false, and has printed why, where an
// instruction set (names[0] to names[best] run on this processor) differs from the definition.
template <typename Compared>
int for_each_case(const char* program, int count, char** words, const Compared& compared) {
    if (count < 3) return std::printf("%s SEED COUNT [FIRST]\n", program), 2;
    const uint64_t seed = std::strtoull(words[1], nullptr, 10);
    const int64_t cases = std::atoll(words[2]), first = count > 3 ? std::atoll(words[3]) : 0;
#define NAME(SET, ...) #SET,
    const char* const names[] = {EVERY_INSTRUCTION_SET(NAME, )};
#undef NAME
    const int best = static_cast<int>(dislayers::best_instruction_set());
    for (int64_t number = first; number < first + cases; ++number)
        if (!compared(seed, number, names, best)) {
            std::printf("repeat with: %s %llu 1 %lld\n", program, static_cast<unsigned long long>(seed),
                        static_cast<long long>(number));
            return 1;
        }
    std::printf("%lld cases on the CPU with instruction sets up to %s: all equal\n", static_cast<long long>(cases),
                names[best]);
    return 0;
}
