// Loops whose tasks threads share.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>

#include "thread_pool.hpp"

namespace acepair {

/// compute(task, thread) for every task, on up to n_threads threads.
template <class Compute> void parallel_for(int64_t n_tasks, int n_threads, Compute compute) {
    std::atomic<int64_t> next{0};
    const auto work = [&](int thread) {
        for (int64_t task; (task = next++) < n_tasks;) compute(task, thread);
    };
    if (n_threads > 1)
        run_on_threads(n_threads, work);
    else
        work(0);
}

/// Threads of which each has at least so many units of work.
inline int useful_threads(int n_threads, int64_t n_units, int64_t min_per_thread) {
    return int(std::max<int64_t>(1, std::min<int64_t>(n_threads, n_units / min_per_thread)));
}

/// Places of a thread where results wait for their turn: so far may it run ahead while another one has lost its CPU.
inline constexpr int64_t slots_per_thread = 32;

/// Consecutive tasks a thread takes at a time: they share much of what they add to.
inline constexpr int64_t most_tasks_at_once = 4;

/// Slots that ordered_for numbers.
inline int64_t slots_of(int n_threads) { return n_threads <= 1 ? 1 : n_threads * slots_per_thread; }

/// compute(task, slot, thread) for every task, on up to n_threads threads, and retire(task, slot) in the order of tasks: sums of results
/// do not depend on the number of threads. Until it is retired a result is in its slot, of slots_of(n_threads). A thread retires what it
/// computed, since that is in its cache.
template <class Compute, class Retire> void ordered_for(int64_t n_tasks, int n_threads, Compute compute, Retire retire) {
    if (n_threads <= 1) {
        for (int64_t task = 0; task < n_tasks; ++task) compute(task, 0, 0), retire(task, 0);
        return;
    }
    alignas(64) std::atomic<int64_t> next{0};
    alignas(64) std::atomic<int64_t> n_retired{0};
    run_on_threads(n_threads, [&](int thread) {
        const int64_t first_slot = thread * slots_per_thread;
        int64_t task_in[slots_per_thread], newest = 0, oldest = 0;  // of its tasks that wait, counted by this thread
        const auto retire_until_fewer_wait_than = [&](int64_t n) {
            for (;;) {
                for (int64_t k; oldest < newest && n_retired == task_in[k = oldest % slots_per_thread]; ++oldest, ++n_retired)
                    retire(task_in[k], first_slot + k);
                if (oldest == newest) oldest = newest = 0;  // the same few slots again, which are in the cache
                if (newest - oldest < n) return;
                std::this_thread::yield();
            }
        };
        for (;;) {
            // fewer towards the end, so that all end together
            const int64_t n = std::max<int64_t>(1, std::min(most_tasks_at_once, (n_tasks - next) / (4 * n_threads)));
            const int64_t begin = next.fetch_add(n), end = std::min(begin + n, n_tasks);
            if (begin >= n_tasks) break;
            for (int64_t task = begin; task < end; ++task) {
                retire_until_fewer_wait_than(slots_per_thread);
                const int64_t k = newest++ % slots_per_thread;
                task_in[k] = task;
                compute(task, first_slot + k, thread);
            }
        }
        retire_until_fewer_wait_than(1);
    });
}

}  // namespace acepair
