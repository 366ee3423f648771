"""What `make gpu-check` does on a machine with a GPU: the tests, the memory checker if there, then the benchmark.

Needs NumPy, CuPy and pytest, and the checkout; neither ASE nor the compiled modules. Ends within 8 minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ALLOWED = 460.0  # seconds for everything


def main() -> int:
    """Run everything; the status is that of the tests and the memory checker."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}

    def run(*command: str, seconds: float) -> int:
        print("+", *command, flush=True)
        try:
            return subprocess.run(command, cwd=ROOT, env=environment, timeout=seconds).returncode
        except subprocess.TimeoutExpired:
            print(f"stopped after {seconds:.0f} s", flush=True)
            return 124

    problems = []
    # warnings are for the versions of libraries that acepair is developed with
    if run(sys.executable, "-m", "pytest", "-q", "-W", "default", "tests/test_gpu_device.py", seconds=180):
        problems.append("tests")
    if checker := shutil.which("compute-sanitizer"):
        command = (checker, "--error-exitcode", "3", sys.executable, "tests/gpu/one_step.py")
        status = run(*command, seconds=60)
        if status == 3:
            problems.append("compute-sanitizer")
        elif status:
            print("compute-sanitizer did not finish: no verdict", flush=True)
    left = _ALLOWED - (time.perf_counter() - start)
    if run(sys.executable, "benchmarks/gpu_speed.py", "--seconds", f"{left - 40:.0f}", seconds=left):
        problems.append("benchmark")
    print("gpu-check:", "failed: " + ", ".join(problems) if problems else "all right", flush=True)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
