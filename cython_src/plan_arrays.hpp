// Arrays that belong to a plan in memory, zero at first, for vectors to load from.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace acepair {

template <class T> class PlanArrays {
public:
    /// n zeros, which stay where they are; vectors that start at a multiple of a register's size do not cross lines of the cache.
    T *zeros(int64_t n) {
        std::vector<T> &array = arrays.emplace_back(n + line / int64_t(sizeof(T)));
        const uintptr_t address = reinterpret_cast<uintptr_t>(array.data());
        return array.data() + (line - address % line) % line / sizeof(T);
    }

private:
    static constexpr int64_t line = 64;  ///< bytes
    std::deque<std::vector<T>> arrays;
};

}  // namespace acepair
