"""How the kernels are compiled: the same for CuPy and for the tests, which have NVRTC only."""

COMPILER_OPTIONS = (
    "--std=c++17",
    "--device-as-default-execution-space",  # NVRTC 12.9 takes lambdas in kernels for functions of the host
)
