// Threads over blocks of work whose results are added in the order of the blocks, so that no sum depends on how many there are.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace acepair {

/// Run compute(task, slot, thread) for every task on n_threads threads, then retire(slot) in the order of tasks. A result waits in
/// one of n_slots places; nobody runs further ahead. Threads live as long as the call: nothing is left to hang after a fork.
template <class Compute, class Retire>
void ordered_for(int64_t n_tasks, int n_threads, int64_t n_slots, Compute compute, Retire retire) {
    if (n_threads <= 1) {
        for (int64_t task = 0; task < n_tasks; ++task) compute(task, 0, 0), retire(0);
        return;
    }
    std::atomic<int64_t> next{0}, n_retired{0};
    std::unique_ptr<std::atomic<bool>[]> done(new std::atomic<bool>[n_slots]);
    for (int64_t slot = 0; slot < n_slots; ++slot) done[slot] = false;
    std::mutex retiring;

    const auto retire_finished = [&] {
        // whoever holds the lock takes on what others finish meanwhile; look again after letting go, or the last one may be missed
        while (done[n_retired.load() % n_slots].load()) {
            if (!retiring.try_lock()) return;
            for (int64_t first = n_retired; done[first % n_slots].load(); ++first) {
                retire(first % n_slots);
                done[first % n_slots] = false;
                n_retired = first + 1;
            }
            retiring.unlock();
        }
    };
    const auto work = [&](int thread) {
        for (int64_t task; (task = next++) < n_tasks;) {
            while (task >= n_retired.load() + n_slots) {
                retire_finished();
                std::this_thread::yield();
            }
            compute(task, task % n_slots, thread);
            done[task % n_slots] = true;
            retire_finished();
        }
    };
    std::vector<std::thread> others;
    others.reserve(n_threads - 1);
    try {
        for (int thread = 1; thread < n_threads; ++thread) others.emplace_back(work, thread);
    } catch (const std::system_error &) {
        // the system gives no more threads: those that run do all the work
    }
    work(0);
    for (std::thread &other : others) other.join();
    retire_finished();
}

}  // namespace acepair
