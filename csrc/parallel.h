// Tasks over PyTorch's threads, or over threads that live for one call: no pool of our own, so a program may fork (data
// loaders do) at any time.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "openmp.h"

namespace dislayers {

template <typename Run>
void on_new_threads(int64_t threads, const Run& run) {
    std::vector<std::thread> others;
    others.reserve(static_cast<size_t>(threads - 1));
    for (int64_t i = 1; i < threads; ++i) {
        try {
            others.emplace_back(run);
        } catch (const std::exception&) {
            break;  // the system has no thread or no memory for one: those that run do the work
        }
    }
    run();
    for (std::thread& other : others) other.join();
}

// Calls work(worker, next) on every thread: workers are numbered from 0, and next() hands out 0, 1, ... tasks - 1 and
// then -1. The calling thread takes part. `work` must not throw.
template <typename Work>
void for_each_task(int64_t tasks, int64_t threads, const Work& work) {
    const int64_t most = std::max<int64_t>(std::min(threads, tasks), 1);
    std::atomic<int64_t> taken{0}, workers{0};
    const auto next = [&]() -> int64_t {
        const int64_t task = taken.fetch_add(1, std::memory_order_relaxed);
        return task < tasks ? task : -1;
    };
    auto run = [&] {
        const int64_t worker = workers.fetch_add(1, std::memory_order_relaxed);
        if (worker < most) work(worker, next);
    };
    if (most == 1)
        run();
    else if (const Team team = openmp)
        // As many as PyTorch takes itself, however few have work: for another number OpenMP would end threads or start
        // some.
        team([](void* run_) { (*static_cast<decltype(run)*>(run_))(); }, &run, as_many_as_ever, 0);
    else
        on_new_threads(most, run);
}

// Rounds of tasks: calls work(task) for 0, 1, ... tasks - 1, then again for as many as next_round() says, until it says
// 0. A round waits for tasks, not for threads: one that the system does not run yet holds up no other. Neither function
// may throw; next_round() runs alone.
template <typename NextRound, typename Work>
void for_each_round(int64_t tasks, int64_t threads, const NextRound& next_round, const Work& work) {
    std::mutex mutex;
    std::condition_variable begins;
    int64_t taken = 0, done = 0;
    for_each_task(threads, threads, [&](int64_t, const auto&) {
        std::unique_lock<std::mutex> lock(mutex);
        while (tasks > 0) {
            if (taken == tasks) {
                begins.wait(lock);
                continue;
            }
            const int64_t task = taken++;
            lock.unlock();
            work(task);
            lock.lock();
            if (++done < tasks) continue;
            tasks = next_round();
            taken = done = 0;
            begins.notify_all();
        }
    });
}

}  // namespace dislayers
