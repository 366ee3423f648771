"""Cells, periodicity and what a neighbour list was made for, as C++ has them."""

from libc.stdint cimport int32_t, int64_t


cdef extern from "cell_geometry.hpp" namespace "acepair" nogil:
    cdef cppclass Vec3:
        double& operator[](size_t) noexcept
    cdef cppclass Mat3:
        Vec3& operator[](size_t) noexcept
    cdef cppclass Axes:
        pass
    cdef cppclass CppReference "acepair::Reference":
        const double *positions
        int64_t n_atoms
        Mat3 cell, completed_inverse
        Axes periodic
    Mat3 as_matrix(const double*) noexcept
    Axes as_axes(const unsigned char*) noexcept
    Mat3 completed "acepair::complete_cell"(const Mat3&, const Axes&) noexcept
    Mat3 inverse(const Mat3&) noexcept
    double independence(const Mat3&, const Axes&) noexcept
    bint still_covers(const CppReference&, const double*, const Mat3&, double, double) noexcept


cdef extern from "neighbor_csr.hpp" namespace "acepair" nogil:
    cdef cppclass Shift:
        int32_t& operator[](size_t) noexcept
    cdef cppclass Image:
        int32_t owner
        Shift shift
