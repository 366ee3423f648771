"""Where the compiled plugin is. Runs at the start of every `lmp` of the environment: light, and never raises."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .headers import wheel_file

LOADER = "acepairplugin.so"


def plugin_path() -> Path:
    """Return the plugin that LAMMPS loads, for `plugin load`.

    Raises
    ------
    FileNotFoundError
        If this installation has none.
    """
    path = Path(__file__).parent / "lib" / LOADER
    if not path.exists():  # an editable installation has the compiled files in another place
        path = wheel_file("acepair", f"acepair/lammps/lib/{LOADER}") or path
    if not path.exists():
        raise FileNotFoundError(
            "acepair was installed without its LAMMPS plugin, which needs Linux on x86_64 and LAMMPS's headers"
        )
    return path


def plugin_folder() -> str:
    """Return the folder whose plugins LAMMPS should load, "" for none: the `lammps.plugins` entry point."""
    try:
        folder = str(plugin_path().parent)
        export_python()
    except Exception:  # whatever goes wrong here must not stop a LAMMPS run that has nothing to do with acepair
        return ""
    return folder


def export_python() -> None:
    """Tell `pair_style acepair/python` which Python to host, in the environment."""
    import sysconfig

    names = (sysconfig.get_config_var(name) for name in ("LDLIBRARY", "INSTSONAME"))
    folders = (sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib"))
    candidates = [os.path.join(folder, name) for name in names for folder in folders if name and folder]
    library = next((path for path in candidates if ".so" in path and os.path.exists(path)), None)
    os.environ["ACEPAIR_PYTHON"] = sys.executable
    if library is not None:
        os.environ["ACEPAIR_LIBPYTHON"] = library
