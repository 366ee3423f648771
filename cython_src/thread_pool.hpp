// Threads that sleep between calls: to wake one takes a fraction of the time of starting and joining one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <system_error>
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
        wake.notify_all();
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
        wake.notify_all();
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
    std::condition_variable wake, none_inside;
    const Work *current = nullptr;
    int n_wanted = 0;
    int64_t round = 0;
    bool ending = false;
    std::atomic<int> n_inside{0};      ///< changed by those who hold the mutex
    std::vector<std::thread> threads;  ///< of 1, 2, ...; the caller is thread 0

    void start(int n) {
        try {
            while (int(threads.size()) < n) threads.emplace_back(&ThreadPool::work_until_end, this, int(threads.size()) + 1, round);
        } catch (const std::system_error &) {
            // the system gives no more threads: those there are do all the work
        }
    }

    void work_until_end(int thread, int64_t last_round) {
        for (std::unique_lock<std::mutex> lock(mutex);;) {
            wake.wait(lock, [&] { return ending || (thread < n_wanted && round != last_round); });
            if (ending) return;
            last_round = round, ++n_inside;
            lock.unlock();
            (*current)(thread);
            lock.lock();
            if (--n_inside == 0) none_inside.notify_one();
        }
    }
};

/// ThreadPool::run on the threads of this library, or, while another call has them, on threads of its own.
inline void run_on_threads(int n_threads, const ThreadPool::Work &work) {
    struct Shared {
        std::mutex in_use;
        ThreadPool pool;
    };
    // never deleted: when the process ends, threads may still be inside
    static std::atomic<Shared *> shared{new Shared};
    // after a fork the threads, and perhaps a locked mutex, are the parent's: the child begins anew
    [[maybe_unused]] static const int at_fork = pthread_atfork(nullptr, nullptr, [] { shared = new Shared; });

    Shared &mine = *shared;
    const std::unique_lock<std::mutex> lock(mine.in_use, std::try_to_lock);
    if (lock)
        mine.pool.run(n_threads, work);
    else
        ThreadPool().run(n_threads, work);
}

}  // namespace acepair
