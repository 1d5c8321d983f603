// Instruction sets, best last. Every `<op>.simd.cpp` is built once for each, in a namespace of that name, and the
// processor's best is chosen when a program runs. Such a file must not use inline functions of the standard library:
// the linker would keep one copy of them for all, perhaps the AVX-512 one.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define EVERY_INSTRUCTION_SET(DO) DO(baseline) DO(avx2) DO(avx512)
#else
#define EVERY_INSTRUCTION_SET(DO) DO(baseline)
#endif

namespace dislayers {

#define DISLAYERS_NAME(name) name,
enum class InstructionSet : int { EVERY_INSTRUCTION_SET(DISLAYERS_NAME) };
#undef DISLAYERS_NAME

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
