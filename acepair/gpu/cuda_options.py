"""How the kernels are compiled: the same for CuPy and for the tests, which have NVRTC only."""

COMPILER_OPTIONS = ("--std=c++17",)
