#pragma once
// Pairs in any order, as a neighbour search reports them -> compressed rows sorted by (i, j, S), with one image for
// each distinct (j, S ≠ 0). O(pairs); beyond the result it needs memory for atoms and images only.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace acepair {

using Shift = std::array<int32_t, 3>;

/// A periodic copy of atom `owner`, at its position + shift · cell.
struct Image {
    int32_t owner;
    Shift shift;
    bool operator==(const Image &other) const { return owner == other.owner && shift == other.shift; }
    bool operator<(const Image &other) const { return std::tie(owner, shift) < std::tie(other.owner, other.shift); }
};

/// A set of images, numbered in the order they came in: open addressing over a table of numbers.
class ImageSet {
public:
    /// Adds `image` unless it is there already.
    void insert(const Image &image, int64_t max_images) {
        if (2 * images.size() >= table_.size()) grow();
        int32_t &slot = find(image);
        if (slot == vacant) {
            if (static_cast<int64_t>(images.size()) >= max_images)
                throw std::invalid_argument("atoms and their images within the cutoff must be fewer than 2^31 to be indexed");
            slot = static_cast<int32_t>(images.size());
            images.push_back(image);
        }
    }

    /// Number of an image of the set.
    int32_t number_of(const Image &image) { return find(image); }

    std::vector<Image> images;

private:
    static constexpr int32_t vacant = -1;
    std::vector<int32_t> table_;  // size a power of two, at most half full

    static uint64_t hash(const Image &image) {
        constexpr uint64_t odd = 0x9E3779B97F4A7C15ull;  // 2^64 / golden ratio
        uint64_t h = static_cast<uint32_t>(image.owner);
        for (const int32_t s : image.shift) {
            h = (h ^ static_cast<uint32_t>(s)) * odd;
            h ^= h >> 32;
        }
        return h;
    }

    int32_t &find(const Image &image) {
        const size_t mask = table_.size() - 1;
        size_t k = hash(image) & mask;
        while (table_[k] != vacant && !(images[table_[k]] == image)) k = (k + 1) & mask;
        return table_[k];
    }

    void grow() {
        table_.assign(std::max<size_t>(64, 2 * table_.size()), vacant);
        for (size_t k = 0; k < images.size(); ++k) find(images[k]) = static_cast<int32_t>(k);
    }
};

/// What a search in a box `fold[k]` times shorter than the cell along axis k reported. A pair of the structure has a
/// shift divisible by `fold`; on a non-periodic axis (`fold` 0) it has none. The others exist only in the folded box.
struct FoldedPairs {
    const uint64_t *pairs;  ///< (size, 2) i, j
    const int32_t *shifts;  ///< (size, 3)
    int64_t size;
    const int32_t *fold;    ///< (3,)

    uint64_t i(int64_t p) const { return pairs[2 * p]; }
    int32_t j(int64_t p) const { return static_cast<int32_t>(pairs[2 * p + 1]); }

    /// Shift of pair p in whole cells; false if the pair is not one of the structure.
    bool unfold(int64_t p, Shift &shift) const {
        for (int k = 0; k < 3; ++k) {
            const int32_t s = shifts[3 * p + k];
            if (s == 0) {
                shift[k] = 0;
            } else {
                if (fold[k] == 0 || s % fold[k] != 0) return false;
                shift[k] = s / fold[k];
            }
        }
        return true;
    }
};

inline bool is_zero(const Shift &shift) { return shift[0] == 0 && shift[1] == 0 && shift[2] == 0; }

/// Row starts `first` (n_atoms + 1) and, in `images`, every image, numbered as they come.
inline void count_rows(const FoldedPairs &found, int64_t n_atoms, int64_t max_index, int64_t *first, ImageSet &images) {
    std::fill(first, first + n_atoms + 1, int64_t{0});
    Shift shift;
    for (int64_t p = 0; p < found.size; ++p) {
        if (!found.unfold(p, shift)) continue;
        ++first[found.i(p) + 1];
        if (!is_zero(shift)) images.insert({found.j(p), shift}, max_index - n_atoms);
    }
    std::partial_sum(first, first + n_atoms + 1, first);
}

/// Ranks of atoms (index < n_atoms) and images (n_atoms + number) among all (j, S), the atoms having S = 0.
class Ranks {
public:
    Ranks(int64_t n_atoms, const std::vector<Image> &sorted)
        : rank_of_(n_atoms + sorted.size()), of_rank_(rank_of_.size()) {
        int32_t rank = 0;
        size_t k = 0;
        const auto place = [&](int64_t index) {
            of_rank_[rank] = static_cast<int32_t>(index);
            rank_of_[index] = rank++;
        };
        for (int64_t j = 0; j < n_atoms; ++j) {
            const Image atom = {static_cast<int32_t>(j), {0, 0, 0}};
            for (; k < sorted.size() && sorted[k] < atom; ++k) place(n_atoms + static_cast<int64_t>(k));
            place(j);
        }
        for (; k < sorted.size(); ++k) place(n_atoms + static_cast<int64_t>(k));
    }
    int32_t rank_of(int64_t index) const { return rank_of_[index]; }
    int32_t of_rank(int32_t rank) const { return of_rank_[rank]; }

private:
    std::vector<int32_t> rank_of_, of_rank_;
};

/// Where each image, by its number, stands in `sorted`.
inline std::vector<int32_t> places_in(const std::vector<Image> &sorted, const std::vector<Image> &images) {
    std::vector<int32_t> place;
    place.reserve(images.size());
    for (const Image &image : images)
        place.push_back(static_cast<int32_t>(std::lower_bound(sorted.begin(), sorted.end(), image) - sorted.begin()));
    return place;
}

/// Sorts a row by counting for each entry how many come before it: vectorised, and for the lengths of usual rows two to
/// three times as fast as comparing and swapping.
inline void sort_row(int32_t *begin, int32_t *end) {
    constexpr int longest = 192;
    if (end - begin > longest) {
        std::sort(begin, end);
        return;
    }
    const int n = static_cast<int>(end - begin);
    int32_t row[longest];
    std::copy(begin, end, row);
    for (int k = 0; k < n; ++k) {
        int before = 0;
        for (int other = 0; other < k; ++other) before += row[other] <= row[k];
        for (int other = k + 1; other < n; ++other) before += row[other] < row[k];
        begin[before] = row[k];
    }
}

/// The columns `neighbor`, each row sorted, and the images in their final order, which is `sorted`.
inline void fill_rows(const FoldedPairs &found, int64_t n_atoms, const int64_t *first, ImageSet &images,
                      int32_t *neighbor, std::vector<Image> &sorted) {
    sorted = images.images;
    std::sort(sorted.begin(), sorted.end());
    const std::vector<int32_t> place = places_in(sorted, images.images);
    const Ranks ranks(n_atoms, sorted);

    std::vector<int64_t> next(first, first + n_atoms);
    Shift shift;
    for (int64_t p = 0; p < found.size; ++p) {
        if (!found.unfold(p, shift)) continue;
        const int32_t j = found.j(p);
        const int64_t index = is_zero(shift) ? j : n_atoms + place[images.number_of({j, shift})];
        neighbor[next[found.i(p)]++] = ranks.rank_of(index);
    }
    // ranks are plain integers in the order wanted: sort them, then turn them back into indices
    for (int64_t i = 0; i < n_atoms; ++i) sort_row(neighbor + first[i], neighbor + first[i + 1]);
    if (!sorted.empty())
        for (int64_t e = 0; e < first[n_atoms]; ++e) neighbor[e] = ranks.of_rank(neighbor[e]);
}

}  // namespace acepair
