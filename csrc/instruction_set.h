// Instruction sets, best last. Every `<op>.simd.cpp` is built once for each, in a namespace of that name, and the
// processor's best is chosen when a program runs. Such a file must not use inline functions of the standard library:
// the linker would keep one copy of them for all, perhaps the AVX-512 one.
#pragma once

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#define EVERY_INSTRUCTION_SET(DO, ...) DO(baseline, __VA_ARGS__) DO(avx2, __VA_ARGS__) DO(avx512, __VA_ARGS__)
#else
#define EVERY_INSTRUCTION_SET(DO, ...) DO(baseline, __VA_ARGS__)
#endif

// Declares a function of a `.simd.cpp` and the table of its variants: VARIANTS(name, parameters...) makes
// name_variants[instruction_set]. For namespace dislayers.
#define VARIANTS(NAME, ...)                                       \
    EVERY_INSTRUCTION_SET(DISLAYERS_VARIANT, NAME, __VA_ARGS__)   \
    namespace {                                                   \
    constexpr decltype(&baseline::NAME) NAME##_variants[] = {     \
        EVERY_INSTRUCTION_SET(DISLAYERS_VARIANT_ADDRESS, NAME)};  \
    }
#define DISLAYERS_VARIANT(SET, NAME, ...) \
    namespace SET {                       \
    void NAME(__VA_ARGS__);               \
    }
#define DISLAYERS_VARIANT_ADDRESS(SET, NAME) SET::NAME,
#define DISLAYERS_VARIANT_NAME(SET, ...) SET,

namespace dislayers {

enum class InstructionSet : int { EVERY_INSTRUCTION_SET(DISLAYERS_VARIANT_NAME, ) };

// Floats of a vector of the instruction sets, in their order.
constexpr int64_t lanes_of_sets[] = {4, 8, 16};

// The best that this processor and its operating system have.
inline InstructionSet best_instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v3) return v4 ? InstructionSet::avx512 : InstructionSet::avx2;
#endif
    return InstructionSet::baseline;
}

}  // namespace dislayers
