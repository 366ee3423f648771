"""What `make gpu-check` does on a machine with a GPU: the tests, the memory checker if there, then the benchmark.

Needs NumPy, CuPy and pytest, and the checkout; neither ASE nor the compiled modules. Ends within 8 minutes. The results
of the benchmark are in benchmarks/results and, if OUT names a folder, there, too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ALLOWED = 460.0  # seconds for everything


def main() -> int:
    """Run everything; the status is 0 if nothing failed."""
    start = time.perf_counter()
    sys.path.insert(0, str(ROOT))
    from acepair.gpu.backend import cuda_backend

    try:
        cuda_backend()
    except (ImportError, RuntimeError) as error:
        print(f"gpu-check: no GPU to check: {error}")
        return 1
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}

    def run(*command: str, seconds: float) -> int:
        print("+", *command, flush=True)
        process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and what it has started
            process.wait()
            print(f"stopped after {seconds:.0f} s", flush=True)
            return 124

    problems = []
    # warnings are for the versions of libraries that acepair is developed with
    if run(sys.executable, "-m", "pytest", "-q", "-W", "default", "tests/test_gpu_device.py", seconds=180):
        problems.append("tests")
    if checker := shutil.which("compute-sanitizer"):
        for tool in ("memcheck", "racecheck"):
            command = (checker, "--tool", tool, "--error-exitcode", "3", sys.executable, "tests/gpu/one_step.py")
            status = run(*command, seconds=60)
            if status == 3:
                problems.append(tool)
            elif status:
                print(f"{tool} did not finish: no verdict", flush=True)
    left = _ALLOWED - (time.perf_counter() - start)
    if run(sys.executable, "benchmarks/gpu_speed.py", "--seconds", f"{left - 40:.0f}", seconds=left):
        problems.append("benchmark")
    if "OUT" in os.environ:
        for file in (ROOT / "benchmarks" / "results").glob("gpu-*.json"):
            shutil.copy(file, os.environ["OUT"])
    print("gpu-check:", "failed: " + ", ".join(problems) if problems else "all right", flush=True)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
