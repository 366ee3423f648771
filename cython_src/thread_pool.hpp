// Threads that sleep between calls: to wake one takes a fraction of the time of starting and joining one.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>

namespace acepair {

/// Threads that do one piece of work after the other.
class ThreadPool {
public:
    using Work = std::function<void(int thread)>;

    ThreadPool() = default;
    ThreadPool(const ThreadPool &) = delete;
    ~ThreadPool() {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            ending = true;
        }
        for (std::condition_variable &each : wake) each.notify_one();
        for (std::thread &thread : threads) thread.join();
    }

    /// Call work(0), and work(1) to work(n_threads − 1) on other threads. Nobody waits for a thread that has not woken up when work(0)
    /// returns, so that a busy CPU delays nothing: any number of threads must be enough to do the work. It must not throw.
    void run(int n_threads, const Work &work) {
        start(n_threads - 1);
        {
            const std::lock_guard<std::mutex> lock(mutex);
            current = &work, n_wanted = n_threads, ++round;
        }
        const int n_woken = std::min(n_threads - 1, int(threads.size()));
        for (int k = 0; k < n_woken; ++k) wake[k].notify_one();
        work(0);
        {
            const std::lock_guard<std::mutex> lock(mutex);
            n_wanted = 0;
        }
        // the others are about to end: that seldom takes as long as falling asleep and being woken, about 50 µs
        for (int turn = 0; n_inside > 0 && turn < 100; ++turn) std::this_thread::yield();
        std::unique_lock<std::mutex> lock(mutex);
        none_inside.wait(lock, [&] { return n_inside == 0; });
    }

private:
    std::mutex mutex;  ///< guards what follows
    std::condition_variable none_inside;
    std::deque<std::condition_variable> wake;  ///< of each thread: a call wakes no more than it wants
    const Work *current = nullptr;
    int n_wanted = 0;
    int64_t round = 0;
    bool ending = false;
    std::atomic<int> n_inside{0};      ///< changed by those who hold the mutex
    std::vector<std::thread> threads;  ///< of 1, 2, ...; the caller is thread 0

    void start(int n) {
        if (int(threads.size()) >= n) return;
        // a new thread inherits the mask: signals are for threads the program knows of, but faults for the one that commits them
        sigset_t blocked, before;
        sigfillset(&blocked);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
        try {
            while (int(threads.size()) < n) {
                if (wake.size() == threads.size()) wake.emplace_back();
                std::condition_variable &its_wake = wake[threads.size()];
                threads.emplace_back([this, thread = int(threads.size()) + 1, now = round, &its_wake] { work_until_end(thread, now, its_wake); });
            }
        } catch (const std::exception &) {
            // the system gives no more threads: those there are do all the work
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    void work_until_end(int thread, int64_t last_round, std::condition_variable &my_wake) {
        for (std::unique_lock<std::mutex> lock(mutex);;) {
            my_wake.wait(lock, [&] { return ending || (thread < n_wanted && round != last_round); });
            if (ending) return;
            last_round = round, ++n_inside;
            lock.unlock();
            (*current)(thread);
            lock.lock();
            if (--n_inside == 0) none_inside.notify_one();
        }
    }
};

/// The threads of this library, and who has them.
struct SharedPool {
    std::mutex in_use;
    ThreadPool pool;
};

// Made when the library is loaded, since a fork may come while a local static is made; never deleted, since threads may still be
// inside when the process ends. After a fork the threads, and perhaps a locked mutex, are the parent's: the child begins anew.
inline std::atomic<SharedPool *> shared_pool{new SharedPool};
[[maybe_unused]] inline const int at_fork = pthread_atfork(nullptr, nullptr, [] { shared_pool = new SharedPool; });

/// ThreadPool::run on the threads of this library, or, while another call has them, on threads of its own.
inline void run_on_threads(int n_threads, const ThreadPool::Work &work) {
    SharedPool &shared = *shared_pool;
    const std::unique_lock<std::mutex> lock(shared.in_use, std::try_to_lock);
    if (lock)
        shared.pool.run(n_threads, work);
    else
        ThreadPool().run(n_threads, work);
}

}  // namespace acepair
