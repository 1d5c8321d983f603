// Tasks over threads that live for one call: no pool, so a program may fork (data loaders do) at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace dislayers {

// Calls work(worker, next) on every thread: workers are numbered from 0, and next() hands out 0, 1, ... tasks - 1 and
// then -1. The calling thread takes part. `work` must not throw.
template <typename Work>
void for_each_task(int64_t tasks, int64_t threads, const Work& work) {
    std::atomic<int64_t> taken{0};
    const auto next = [&]() -> int64_t {
        const int64_t task = taken.fetch_add(1, std::memory_order_relaxed);
        return task < tasks ? task : -1;
    };
    std::vector<std::thread> others;
    const int64_t helpers = (threads < tasks ? threads : tasks) - 1;
    others.reserve(static_cast<size_t>(helpers));
    for (int64_t i = 0; i < helpers; ++i) {
        try {
            others.emplace_back([&work, &next, i] { work(i + 1, next); });
        } catch (const std::system_error&) {
            break;  // the system has no thread left: those that run do the work
        }
    }
    work(int64_t(0), next);
    for (std::thread& other : others) other.join();
}

}  // namespace dislayers
