// Tasks over threads that live for one call: no pool, so a program may fork (data loaders do) at any time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
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
        } catch (const std::exception&) {
            break;  // the system has no thread or no memory for one: those that run do the work
        }
    }
    work(int64_t(0), next);
    for (std::thread& other : others) other.join();
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
