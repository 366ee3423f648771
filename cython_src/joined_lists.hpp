#pragma once
// Neighbour lists of many structures, and their union: one list whose atoms are those of all structures in turn, followed by
// the images of all.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <vector>

#include "cell_geometry.hpp"
#include "image_search.hpp"
#include "parallel.hpp"

namespace acepair {

/// Structures one after the other; the arrays belong to the caller.
struct Structures {
    const double *positions;      ///< (n_atoms, 3) Å
    const int64_t *first;         ///< (n_structures + 1,) where the atoms of each begin
    const double *cells;          ///< (n_structures, 3, 3) Å
    const unsigned char *pbc;     ///< (n_structures, 3)
    int64_t n_structures;

    int64_t n_atoms(int64_t k) const { return first[k + 1] - first[k]; }
    const double *positions_of(int64_t k) const { return positions + 3 * first[k]; }
    Mat3 cell(int64_t k) const { return as_matrix(cells + 9 * k); }
    Axes periodic(int64_t k) const { return as_axes(pbc + 3 * k); }
};

/// Search each structure by ImageSearch; found[k] tells whether that was possible.
inline void search_structures(const Structures &in, double cutoff, int64_t max_tests, int n_threads, std::vector<Rows> &rows,
                              std::vector<unsigned char> &found) {
    constexpr int64_t chunk = 16;  // structures a thread takes at a time
    const int64_t n = in.n_structures, n_chunks = (n + chunk - 1) / chunk;
    rows.assign(n, Rows());
    found.assign(n, 0);
    const int threads = useful_threads(n_threads, n_chunks, 1);
    std::vector<ImageSearch> searches(threads);
    std::atomic<bool> failed{false};  // an exception must not leave a thread
    parallel_for(n_chunks, threads, [&](int64_t task, int thread) {
        try {
            for (int64_t k = task * chunk; k < std::min(n, (task + 1) * chunk); ++k) {
                if (in.n_atoms(k))
                    found[k] = searches[thread].find({in.positions_of(k), in.n_atoms(k), in.cell(k), in.periodic(k)}, cutoff,
                                                     max_tests, rows[k]);
                else
                    rows[k].first.assign(1, 0), found[k] = 1;
            }
        } catch (const std::bad_alloc &) {
            failed = true;
        }
    });
    if (failed) throw std::bad_alloc();
}

struct JoinedSize {
    int64_t atoms = 0, neighbors = 0, images = 0;
};

/// Sizes of the union; throws if its rows could not be indexed by 32 bits.
inline JoinedSize joined_size(const std::vector<Rows> &rows) {
    JoinedSize size;
    for (const Rows &r : rows) {
        size.atoms += r.n_atoms(), size.neighbors += static_cast<int64_t>(r.neighbor.size());
        size.images += static_cast<int64_t>(r.images.size());
    }
    if (size.atoms + size.images >= int64_t{1} << 31)
        throw std::invalid_argument("atoms and images of a batch must be fewer than 2^31 to be indexed");
    return size;
}

/// Arrays of the union; they belong to the caller.
struct Joined {
    int64_t *first;        ///< (atoms + 1,)
    int32_t *neighbor;     ///< (neighbors,)
    int32_t *image_owner;  ///< (images,)
    int32_t *image_shift;  ///< (images, 3)
    int64_t *image_first;  ///< (n_structures + 1,) where the images of each structure begin
};

inline void join(const std::vector<Rows> &rows, const Joined &out) {
    const int64_t n_atoms = joined_size(rows).atoms;
    int64_t atom = 0, neighbor = 0, image = 0;
    out.first[0] = out.image_first[0] = 0;
    for (size_t k = 0; k < rows.size(); ++k) {
        const Rows &r = rows[k];
        const int64_t n = r.n_atoms();
        const int32_t to_atom = static_cast<int32_t>(atom), to_image = static_cast<int32_t>(n_atoms + image - n);
        for (int64_t i = 0; i < n; ++i) out.first[atom + i + 1] = neighbor + r.first[i + 1];
        for (const int32_t j : r.neighbor) out.neighbor[neighbor++] = j + (j < n ? to_atom : to_image);
        for (const Image &each : r.images) {
            out.image_owner[image] = each.owner + to_atom;
            for (int c = 0; c < 3; ++c) out.image_shift[3 * image + c] = each.shift[c];
            ++image;
        }
        atom += n;
        out.image_first[k + 1] = image;
    }
}

/// Add x ⊗ F of every row, atoms and images, to the virial of its structure: −Σ D ⊗ ∂E/∂D, since the force on a row is the sum
/// of ±∂E/∂D over its pairs.
inline void add_virials(const int64_t *atom_first, const int64_t *image_first, int64_t n_structures, const double *rows,
                        const double *forces, double *virials) {
    const int64_t n_atoms = atom_first[n_structures];
    const auto add = [&](int64_t begin, int64_t end, double *virial) {
        for (int64_t k = 4 * begin; k < 4 * end; k += 4)
            for (int c = 0; c < 9; ++c) virial[c] += rows[k + c / 3] * forces[k + c % 3];
    };
    for (int64_t k = 0; k < n_structures; ++k) {
        add(atom_first[k], atom_first[k + 1], virials + 9 * k);
        add(n_atoms + image_first[k], n_atoms + image_first[k + 1], virials + 9 * k);
    }
}

}  // namespace acepair
