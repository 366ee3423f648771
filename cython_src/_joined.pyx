"""Many structures as one: searching each, joining the lists, deciding whether they still hold, sums of each structure.

Atoms of all structures in turn are followed by the images of all. Arrays come validated from acepair.structure.
`first` (n_structures + 1,) is where the atoms of each structure begin, `image_first` where its images do.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp
from libcpp.vector cimport vector

from cell_geometry cimport Axes, CppReference, Image, Mat3, completed, independence, inverse, still_covers

import numpy as np


cdef extern from "image_search.hpp" namespace "acepair" nogil:
    cdef cppclass Rows:
        vector[int64_t] first
        vector[int32_t] neighbor
        vector[Image] images


cdef extern from "joined_lists.hpp" namespace "acepair" nogil:
    cdef cppclass Structures:
        const double *positions
        const int64_t *first
        const double *cells
        const unsigned char *pbc
        int64_t n_structures
        const double *positions_of(int64_t) noexcept
        int64_t n_atoms(int64_t) noexcept
        Mat3 cell(int64_t) noexcept
        Axes periodic(int64_t) noexcept
    cdef cppclass Joined:
        int64_t *first
        int32_t *neighbor
        int32_t *image_owner
        int32_t *image_shift
        int64_t *image_first
    cdef cppclass JoinedSize:
        int64_t atoms, neighbors, images
    JoinedSize joined_size(const vector[Rows]&) except +
    void search_structures(const Structures&, double, int64_t, int, vector[Rows]&, vector[unsigned char]&) except +
    void join "acepair::join"(const vector[Rows]&, const Joined&) except +
    void c_add_virials "acepair::add_virials"(
        const int64_t*, const int64_t*, int64_t, const double*, const double*, double*
    ) noexcept


cdef Structures view(
    const double[:, ::1] positions, const int64_t[::1] first, const double[:, :, ::1] cells, const unsigned char[:, ::1] pbc
) noexcept:
    """The arrays of at least one structure as C++ has them."""
    cdef Structures structures
    structures.positions = &positions[0, 0] if positions.shape[0] > 0 else NULL
    structures.first = &first[0]
    structures.cells = &cells[0, 0, 0]
    structures.pbc = &pbc[0, 0]
    structures.n_structures = cells.shape[0]
    return structures


def first_unsound_cell(const double[:, :, ::1] cells not None, const unsigned char[:, ::1] pbc not None, double min_independence):
    """Index of the first structure whose periodic vectors are dependent or not finite, -1 if there is none."""
    cdef Py_ssize_t k, r, c
    cdef double zero
    cdef Structures structures
    if cells.shape[0] == 0:
        return -1
    structures.cells, structures.pbc = &cells[0, 0, 0], &pbc[0, 0]
    for k in range(cells.shape[0]):
        zero = 0
        for r in range(3):
            for c in range(3):
                zero += 0 * cells[k, r, c]  # NaN for what is not finite
        if zero != 0 or not independence(structures.cell(k), structures.periodic(k)) > min_independence:
            return k
    return -1


cdef class Lists:
    """Neighbour lists of structures, each by itself, until they are joined."""

    cdef vector[Rows] _rows

    def search(
        self,
        const double[:, ::1] positions not None,
        const int64_t[::1] first not None,
        const double[:, :, ::1] cells not None,
        const unsigned char[:, ::1] pbc not None,
        double cutoff,
        int64_t max_tests,
        int n_threads,
    ):
        """Search at least one structure; returns the indices of those that take more than max_tests distances."""
        cdef vector[unsigned char] found
        cdef Structures structures = view(positions, first, cells, pbc)
        cdef Py_ssize_t k
        with nogil:
            search_structures(structures, cutoff, max_tests, n_threads, self._rows, found)
        return [k for k in range(<Py_ssize_t>found.size()) if not found[k]]

    def put(
        self,
        Py_ssize_t k,
        const int64_t[::1] first not None,
        const int32_t[::1] neighbor not None,
        const int32_t[::1] image_owner not None,
        const int32_t[:, ::1] image_shift not None,
    ):
        """Set the list of structure k."""
        cdef Rows *rows = &self._rows[k]
        cdef Py_ssize_t e, c
        rows.first.resize(first.shape[0])
        rows.neighbor.resize(neighbor.shape[0])
        rows.images.resize(image_owner.shape[0])
        for e in range(first.shape[0]):
            rows.first[e] = first[e]
        for e in range(neighbor.shape[0]):
            rows.neighbor[e] = neighbor[e]
        for e in range(image_owner.shape[0]):
            rows.images[e].owner = image_owner[e]
            for c in range(3):
                rows.images[e].shift[c] = image_shift[e, c]

    def join(self):
        """Return first (n_atoms + 1,), neighbor, image_owner, image_shift of the union, and image_first."""
        cdef JoinedSize size = joined_size(self._rows)
        cdef Joined out
        arrays = (
            np.empty(size.atoms + 1, np.int64),
            np.empty(size.neighbors, np.int32),
            np.empty(size.images, np.int32),
            np.empty((size.images, 3), np.int32),
            np.empty(self._rows.size() + 1, np.int64),
        )
        cdef int64_t[::1] first = arrays[0], image_first = arrays[4]
        cdef int32_t[::1] neighbor = arrays[1], owner = arrays[2]
        cdef int32_t[:, ::1] shift = arrays[3]
        out.first, out.image_first = &first[0], &image_first[0]
        out.neighbor = &neighbor[0] if neighbor.shape[0] > 0 else NULL
        out.image_owner = &owner[0] if owner.shape[0] > 0 else NULL
        out.image_shift = &shift[0, 0] if shift.shape[0] > 0 else NULL
        with nogil:
            join(self._rows, out)
        return arrays


cdef class References:
    """The structures that lists were made for. Keeps the arrays it is given: hand it copies."""

    cdef vector[CppReference] _cpp
    cdef const double[:, ::1] _positions
    cdef const int64_t[::1] _first
    cdef const int64_t[::1] _numbers
    cdef const unsigned char[:, ::1] _pbc

    def __init__(
        self,
        const double[:, ::1] positions not None,
        const int64_t[::1] first not None,
        const double[:, :, ::1] cells not None,
        const unsigned char[:, ::1] pbc not None,
        const int64_t[::1] numbers not None,
    ):
        self._positions, self._first, self._numbers, self._pbc = positions, first, numbers, pbc
        cdef Structures structures = view(positions, first, cells, pbc)
        cdef CppReference *one
        cdef Py_ssize_t k
        self._cpp.resize(structures.n_structures)
        for k in range(structures.n_structures):
            one = &self._cpp[k]
            one.positions = structures.positions_of(k)
            one.n_atoms = structures.n_atoms(k)
            one.cell, one.periodic = structures.cell(k), structures.periodic(k)
            one.completed_inverse = inverse(completed(one.cell, one.periodic))

    def covers(
        self,
        const double[:, ::1] positions not None,
        const int64_t[::1] first not None,
        const double[:, :, ::1] cells not None,
        const unsigned char[:, ::1] pbc not None,
        const int64_t[::1] numbers not None,
        double rcut,
        double skin,
    ):
        """Whether lists of all pairs closer than rcut + skin, made for these structures, hold all closer than rcut."""
        cdef Structures structures = view(positions, first, cells, pbc)
        cdef Py_ssize_t n = structures.n_structures, k
        if n != <Py_ssize_t>self._cpp.size() or numbers.shape[0] != self._numbers.shape[0]:
            return False
        if memcmp(&first[0], &self._first[0], (n + 1) * sizeof(int64_t)) != 0 or memcmp(&pbc[0, 0], &self._pbc[0, 0], 3 * n) != 0:
            return False
        if numbers.shape[0] > 0 and memcmp(&numbers[0], &self._numbers[0], numbers.shape[0] * sizeof(int64_t)) != 0:
            return False
        for k in range(n):
            if not still_covers(self._cpp[k], structures.positions_of(k), structures.cell(k), rcut, skin):
                return False
        return True


def pack(
    const double[:, ::1] positions not None,
    const int64_t[::1] first not None,
    const double[:, :, ::1] cells not None,
    const int32_t[::1] species not None,
    const int32_t[::1] image_owner not None,
    const int32_t[:, ::1] image_shift not None,
    const int64_t[::1] image_first not None,
    double[:, ::1] out not None,
):
    """As acepair._neighbors.pack: each structure is relative to its own first atom, in its own cell."""
    cdef Py_ssize_t n_atoms = positions.shape[0], k, i, c
    cdef int32_t j
    with nogil:
        for k in range(cells.shape[0]):
            for i in range(first[k], first[k + 1]):
                for c in range(3):
                    out[i, c] = positions[i, c] - positions[first[k], c]
                out[i, 3] = species[i]
            for i in range(image_first[k], image_first[k + 1]):
                j = image_owner[i]
                for c in range(3):
                    out[n_atoms + i, c] = out[j, c] + (
                        image_shift[i, 0] * cells[k, 0, c] + image_shift[i, 1] * cells[k, 1, c] + image_shift[i, 2] * cells[k, 2, c]
                    )
                out[n_atoms + i, 3] = species[j]


def add_energies(const int64_t[::1] first not None, const double[::1] site_energies not None, double[::1] energies not None):
    """Add the energies of each structure's atoms, in their order, to energies (n_structures,)."""
    cdef Py_ssize_t k, i
    cdef double total
    with nogil:
        for k in range(energies.shape[0]):
            total = 0
            for i in range(first[k], first[k + 1]):
                total += site_energies[i]
            energies[k] += total


def add_virials(
    const int64_t[::1] first not None,
    const int64_t[::1] image_first not None,
    const double[:, ::1] packed not None,
    const double[:, ::1] forces not None,
    double[:, :, ::1] virials not None,
):
    """Add Σ x ⊗ F over the rows of each structure to virials (n_structures, 3, 3); packed and forces are (rows, 4)."""
    if packed.shape[0] == 0 or virials.shape[0] == 0:
        return
    with nogil:
        c_add_virials(&first[0], &image_first[0], virials.shape[0], &packed[0, 0], &forces[0, 0], &virials[0, 0, 0])
