// PyTorch's own threads, found at run time: nothing here is compiled or linked with OpenMP.
#pragma once

#include <atomic>

#if defined(__linux__)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace dislayers {

// Calls function(argument) on this thread and on others, at most `threads` in all, and waits for them. Within a team it
// has this thread alone.
using Team = void (*)(void (*function)(void*), void* argument, unsigned threads, unsigned flags);
constexpr unsigned as_many_as_ever = 0;  // what was set for this thread: torch.get_num_threads()

inline Team find_openmp();

// What runs a team in the OpenMP that PyTorch has loaded, or null. Its threads stay awake for a while after each of
// PyTorch's operations: threads of our own would have to share the cores with them.
inline std::atomic<Team> openmp{find_openmp()};

inline Team find_openmp() {
#if defined(__linux__)
    if (void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD)) {
        // A forked process has none of those threads, and OpenMP would wait for them.
        pthread_atfork(nullptr, nullptr, [] { openmp = nullptr; });
        // What was preloaded (LD_PRELOAD) is what PyTorch calls too.
        void* const preloaded = dlsym(RTLD_DEFAULT, "GOMP_parallel");
        return reinterpret_cast<Team>(preloaded ? preloaded : dlsym(torch, "GOMP_parallel"));
    }
#endif
    return nullptr;
}

}  // namespace dislayers
