"""Neighbour lists: building them from the pairs a search found, deciding how long they hold, using them.

Arrays come validated from acepair.structure and acepair.neighbors.
"""

from libc.math cimport INFINITY, isfinite, sqrt
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcmp, memcpy
from libcpp.vector cimport vector

from cell_geometry cimport (
    Axes, CppReference, Image, Mat3, Shift, Vec3, as_axes, as_matrix, completed, independence, inverse, still_covers
)

import numpy as np


cdef extern from "neighbor_csr.hpp" namespace "acepair" nogil:
    cdef cppclass ImageSet:
        vector[Image] images
    cdef cppclass FoldedPairs:
        const uint64_t *pairs
        const int32_t *shifts
        int64_t size
        const int32_t *fold
    void count_rows(const FoldedPairs&, int64_t, int64_t, int64_t*, ImageSet&) except +
    void fill_rows(const FoldedPairs&, int64_t, const int64_t*, ImageSet&, int32_t*, vector[Image]&) except +


cdef extern from "image_search.hpp" namespace "acepair" nogil:
    cdef cppclass SearchInput:
        const double *positions
        int64_t n_atoms
        Mat3 cell
        Axes periodic
    cdef cppclass Rows:
        vector[int64_t] first
        vector[int32_t] neighbor
        vector[Image] images
    cdef cppclass ImageSearch:
        bint find(const SearchInput&, double, int64_t, Rows&) except +


# A pointer to the first element, or NULL where there is none.
cdef inline const double *doubles(const double[:, ::1] x) noexcept nogil:
    return &x[0, 0] if x.shape[0] > 0 else NULL


cdef Py_ssize_t row_not_finite(const double[:, ::1] x) noexcept nogil:
    cdef Py_ssize_t i
    cdef double sum_x = 0, sum_y = 0, sum_z = 0
    for i in range(x.shape[0]):
        # 0 x is NaN exactly for what is sought; three sums, so that additions need not wait for each other
        sum_x += 0 * x[i, 0]
        sum_y += 0 * x[i, 1]
        sum_z += 0 * x[i, 2]
    if sum_x + sum_y + sum_z == 0:
        return -1
    for i in range(x.shape[0]):
        if not (isfinite(x[i, 0]) and isfinite(x[i, 1]) and isfinite(x[i, 2])):
            return i
    return -1


def first_not_finite(const double[:, ::1] x not None):
    """Row with the first NaN or infinity in an (n, 3) array, -1 if there is none."""
    return row_not_finite(x)


def is_sound(
    const double[:, ::1] positions not None,
    const double[:, ::1] cell not None,
    const unsigned char[::1] pbc not None,
    double min_independence,
):
    """Whether positions and cell are finite and the periodic vectors independent.

    Of independent vectors, the volume they span over the product of their lengths exceeds min_independence.
    """
    return (
        row_not_finite(positions) < 0
        and row_not_finite(cell) < 0
        and independence(as_matrix(&cell[0, 0]), as_axes(&pbc[0])) > min_independence
    )


def species_of(const int64_t[::1] numbers not None, const int32_t[::1] table not None, int32_t[::1] species not None):
    """Fill species with table[numbers]; False if a number is not in the table or has a negative entry there."""
    cdef Py_ssize_t i, size = table.shape[0]
    cdef int64_t number
    cdef int32_t z
    cdef bint known = True
    with nogil:
        for i in range(numbers.shape[0]):
            number = numbers[i]
            z = table[number] if 0 <= number < size else -1
            known = known and z >= 0
            species[i] = z
    return known


def complete_cell(const double[:, ::1] cell not None, const unsigned char[::1] pbc not None):
    """Cell whose non-periodic vectors are unit vectors orthogonal to the others, and its inverse."""
    cdef Mat3 whole = completed(as_matrix(&cell[0, 0]), as_axes(&pbc[0])), inv = inverse(whole)
    cdef int r, c
    result = np.empty((2, 3, 3))
    cdef double[:, :, ::1] out = result
    for r in range(3):
        for c in range(3):
            out[0, r, c] = whole[r][c]
            out[1, r, c] = inv[r][c]
    return result[0], result[1]


def fractional_bounds(const double[:, ::1] positions not None, const double[:, ::1] inv not None):
    """Least and greatest coordinates of at least one position in units of the cell vectors, (2, 3)."""
    cdef Py_ssize_t i, k
    cdef double s
    result = np.empty((2, 3))
    cdef double[:, ::1] bounds = result
    with nogil:
        for k in range(3):
            bounds[0, k] = INFINITY
            bounds[1, k] = -INFINITY
        for i in range(positions.shape[0]):
            for k in range(3):
                s = positions[i, 0] * inv[0, k] + positions[i, 1] * inv[1, k] + positions[i, 2] * inv[2, k]
                bounds[0, k] = min(bounds[0, k], s)
                bounds[1, k] = max(bounds[1, k], s)
    return result


def build_csr(
    const uint64_t[:, ::1] pairs not None,
    const int32_t[:, ::1] shifts not None,
    const int32_t[::1] fold not None,
    Py_ssize_t n_atoms,
    int64_t max_index=2**31 - 1,
):
    """Rows sorted by (i, j, S) from the pairs (i, j) of a full list and their shifts in any order.

    See FoldedPairs in neighbor_csr.hpp for `fold`. Returns first, neighbor, image_owner, image_shift.
    """
    cdef FoldedPairs found
    cdef ImageSet images
    cdef vector[Image] ordered
    found.size = pairs.shape[0]
    found.pairs = &pairs[0, 0] if found.size > 0 else NULL
    found.shifts = &shifts[0, 0] if found.size > 0 else NULL
    found.fold = &fold[0]

    first_array = np.empty(n_atoms + 1, np.int64)
    cdef int64_t[::1] first = first_array
    with nogil:
        count_rows(found, n_atoms, max_index, &first[0], images)

    # one element at least, so that there is an address to give
    neighbor_array = np.empty(max(first[n_atoms], 1), np.int32)
    cdef int32_t[::1] neighbor = neighbor_array
    with nogil:
        fill_rows(found, n_atoms, &first[0], images, &neighbor[0], ordered)

    owner_array, shift_array = image_arrays(ordered)
    return first_array, neighbor_array[:first[n_atoms]], owner_array, shift_array


cdef tuple image_arrays(const vector[Image]& images):
    """Owners (n_images,) and shifts (n_images, 3)."""
    cdef Py_ssize_t n = images.size(), k, c
    owner_array, shift_array = np.empty(n, np.int32), np.empty((n, 3), np.int32)
    cdef int32_t[::1] owner = owner_array
    cdef int32_t[:, ::1] shift = shift_array
    for k in range(n):
        owner[k] = images[k].owner
        for c in range(3):
            shift[k, c] = images[k].shift[c]
    return owner_array, shift_array


def search_images(
    const double[:, ::1] positions not None,
    const double[:, ::1] cell not None,
    const unsigned char[::1] pbc not None,
    double cutoff,
    int64_t max_tests,
):
    """What build_csr returns, of all pairs of at least one atom closer than cutoff; see image_search.hpp.

    None if that takes more than max_tests distances, or atoms are too far from the origin.
    """
    cdef SearchInput structure
    cdef ImageSearch search
    cdef Rows rows
    cdef Py_ssize_t n = positions.shape[0]
    structure.positions = &positions[0, 0]
    structure.n_atoms = n
    structure.cell = as_matrix(&cell[0, 0])
    structure.periodic = as_axes(&pbc[0])
    cdef bint found
    with nogil:
        found = search.find(structure, cutoff, max_tests, rows)
    if not found:
        return None
    first_array, neighbor_array = np.empty(n + 1, np.int64), np.empty(rows.neighbor.size(), np.int32)
    cdef int64_t[::1] first = first_array
    cdef int32_t[::1] neighbor = neighbor_array
    memcpy(&first[0], rows.first.data(), (n + 1) * sizeof(int64_t))
    if neighbor.shape[0] > 0:
        memcpy(&neighbor[0], rows.neighbor.data(), neighbor.shape[0] * sizeof(int32_t))
    owner_array, shift_array = image_arrays(rows.images)
    return first_array, neighbor_array, owner_array, shift_array


cdef class Reference:
    """The structure a list was made for. Keeps the arrays it is given: hand it copies."""

    cdef CppReference _cpp
    cdef const double[:, ::1] _positions
    cdef const int64_t[::1] _numbers
    cdef const unsigned char[::1] _pbc

    def __init__(
        self,
        const double[:, ::1] positions not None,
        const double[:, ::1] cell not None,
        const unsigned char[::1] pbc not None,
        const int64_t[::1] numbers not None,
    ):
        self._positions, self._numbers, self._pbc = positions, numbers, pbc
        self._cpp.positions = doubles(positions)
        self._cpp.n_atoms = positions.shape[0]
        self._cpp.cell = as_matrix(&cell[0, 0])
        self._cpp.periodic = as_axes(&pbc[0])
        self._cpp.completed_inverse = inverse(completed(self._cpp.cell, self._cpp.periodic))

    def covers(
        self,
        const double[:, ::1] positions not None,
        const double[:, ::1] cell not None,
        const unsigned char[::1] pbc not None,
        const int64_t[::1] numbers not None,
        double rcut,
        double skin,
    ):
        """Whether a list of all pairs closer than rcut + skin, made for this structure, holds all closer than rcut."""
        cdef Py_ssize_t n = positions.shape[0]
        if n != self._positions.shape[0] or numbers.shape[0] != n or memcmp(&pbc[0], &self._pbc[0], 3) != 0:
            return False
        if n > 0 and memcmp(&numbers[0], &self._numbers[0], n * sizeof(int64_t)) != 0:
            return False
        return still_covers(self._cpp, doubles(positions), as_matrix(&cell[0, 0]), rcut, skin)


def check_csr(
    const int64_t[::1] first not None,
    const int32_t[::1] neighbor not None,
    const int32_t[::1] image_owner not None,
):
    """Greatest number of neighbours of an atom; -1 if an index of the list points outside of it."""
    cdef Py_ssize_t n_atoms = first.shape[0] - 1, i, k
    cdef int64_t size = n_atoms + image_owner.shape[0], longest = 0
    cdef bint ok = first[0] == 0 and first[n_atoms] == neighbor.shape[0]
    with nogil:
        for i in range(n_atoms):
            ok = ok and first[i] <= first[i + 1]
            longest = max(longest, first[i + 1] - first[i])
        for k in range(neighbor.shape[0]):
            ok = ok and 0 <= neighbor[k] < size
        for k in range(image_owner.shape[0]):
            ok = ok and 0 <= image_owner[k] < n_atoms
    return longest if ok else -1


def pack(
    const double[:, ::1] positions not None,
    const double[:, ::1] cell not None,
    const int32_t[::1] species not None,
    const int32_t[::1] image_owner not None,
    const int32_t[:, ::1] image_shift not None,
    double[:, ::1] out not None,
):
    """Fill out (n_atoms + n_images, 4) with x, y, z and species of atoms, then images.

    The first atom is the origin: only differences matter, and they lose digits far from zero.
    """
    cdef Py_ssize_t n = positions.shape[0], k, c
    cdef int32_t j
    with nogil:
        for k in range(n):
            for c in range(3):
                out[k, c] = positions[k, c] - positions[0, c]
            out[k, 3] = species[k]
        for k in range(image_owner.shape[0]):
            j = image_owner[k]
            for c in range(3):
                out[n + k, c] = out[j, c] + (
                    image_shift[k, 0] * cell[0, c] + image_shift[k, 1] * cell[1, c] + image_shift[k, 2] * cell[2, c]
                )
            out[n + k, 3] = species[j]


def fold(const double[:, ::1] extended not None, const int32_t[::1] image_owner not None, double[:, ::1] out not None):
    """Fill out (n_atoms, m) with the rows of atoms, each plus those of its images in their order."""
    cdef Py_ssize_t n = out.shape[0], m = out.shape[1], i, k, c
    with nogil:
        for i in range(n):
            for c in range(m):
                out[i, c] = extended[i, c]
        for k in range(image_owner.shape[0]):
            for c in range(m):
                out[image_owner[k], c] += extended[n + k, c]


cdef inline double distance2(const double[:, ::1] packed, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    cdef double x = packed[j, 0] - packed[i, 0], y = packed[j, 1] - packed[i, 1], z = packed[j, 2] - packed[i, 2]
    return x * x + y * y + z * z


def count_edges(
    const int64_t[::1] first not None,
    const int32_t[::1] neighbor not None,
    const double[:, ::1] packed not None,
    const double[:, ::1] rcut not None,
):
    """Number of edges with d < rcut[species of centre, species of neighbour]."""
    cdef Py_ssize_t i, e
    cdef int64_t count = 0
    cdef int32_t j
    with nogil:
        for i in range(first.shape[0] - 1):
            for e in range(first[i], first[i + 1]):
                j = neighbor[e]
                count += sqrt(distance2(packed, i, j)) < rcut[<Py_ssize_t>packed[i, 3], <Py_ssize_t>packed[j, 3]]
    return count


def fill_edges(
    const int64_t[::1] first not None,
    const int32_t[::1] neighbor not None,
    const int32_t[::1] image_owner not None,
    const int32_t[:, ::1] image_shift not None,
    const double[:, ::1] packed not None,
    const double[:, ::1] rcut not None,
    int64_t[::1] i_out not None,
    int64_t[::1] j_out not None,
    int32_t[:, ::1] S_out not None,
    double[:, ::1] D_out not None,
    double[::1] d_out not None,
):
    """Fill the arrays of the edges that count_edges counts, in the order of the list."""
    cdef Py_ssize_t n_atoms = first.shape[0] - 1, i, e, c, k = 0
    cdef int32_t j
    cdef double d
    with nogil:
        for i in range(n_atoms):
            for e in range(first[i], first[i + 1]):
                j = neighbor[e]
                d = sqrt(distance2(packed, i, j))
                if not d < rcut[<Py_ssize_t>packed[i, 3], <Py_ssize_t>packed[j, 3]]:
                    continue
                i_out[k] = i
                j_out[k] = j if j < n_atoms else image_owner[j - n_atoms]
                for c in range(3):
                    S_out[k, c] = 0 if j < n_atoms else image_shift[j - n_atoms, c]
                    D_out[k, c] = packed[j, c] - packed[i, c]
                d_out[k] = d
                k += 1
