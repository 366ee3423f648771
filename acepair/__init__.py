"""Atomic Cluster Expansion interatomic potentials: build, fit and run them.

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import basis as basis
    from . import io as io
    from . import models as models
    from .assembly import energy_forces_virial_basis as energy_forces_virial_basis
    from .assembly import potential_energy_basis as potential_energy_basis
    from .assembly import site_basis as site_basis
    from .assembly import site_basis_jacobian as site_basis_jacobian
    from .basis.angular import AngularEmbedding as AngularEmbedding
    from .basis.many_body import SparseACEBasis as SparseACEBasis
    from .basis.polynomials import Polynomials as Polynomials
    from .basis.polynomials import SplineTable as SplineTable
    from .basis.polynomials import chebyshev as chebyshev
    from .basis.polynomials import jacobi as jacobi
    from .basis.polynomials import legendre as legendre
    from .basis.radial import RadialEmbedding as RadialEmbedding
    from .basis.selection import EuclideanDegree as EuclideanDegree
    from .basis.selection import TotalDegree as TotalDegree
    from .basis.selection import select_many_body as select_many_body
    from .basis.transforms import ACE1PolyEnvelope1sR as ACE1PolyEnvelope1sR
    from .basis.transforms import AgnesiTransform as AgnesiTransform
    from .basis.transforms import EnvelopeOfR as EnvelopeOfR
    from .basis.transforms import PolyEnvelope1sR as PolyEnvelope1sR
    from .basis.transforms import PolyEnvelope2sX as PolyEnvelope2sX
    from .batch import Batch as Batch
    from .batch import BatchResult as BatchResult
    from .batch import evaluate_batch as evaluate_batch
    from .calculator import ACECalculator as ACECalculator
    from .evaluate import energy_forces_virial as energy_forces_virial
    from .evaluate import forces as forces
    from .evaluate import potential_energy as potential_energy
    from .evaluate import site_edges as site_edges
    from .evaluate import site_energies as site_energies
    from .evaluate import site_grads as site_grads
    from .evaluate import virial as virial
    from .io.model_file import load_model as load_model
    from .io.model_file import save_model as save_model
    from .models.ace import ETACE as ETACE
    from .models.ace import ETACEPotential as ETACEPotential
    from .models.convert import convert2et as convert2et
    from .models.convert import convert2et_full as convert2et_full
    from .models.convert import convertpair as convertpair
    from .models.convert import one_body as one_body
    from .models.convert import splinify as splinify
    from .models.distances import default_rin0cuts as default_rin0cuts
    from .models.heuristics import ace1_model as ace1_model
    from .models.heuristics import ace_model as ace_model
    from .models.model import ACEModel as ACEModel
    from .models.onebody import ETOneBody as ETOneBody
    from .models.onebody import ETOneBodyPotential as ETOneBodyPotential
    from .models.pair import ETPairModel as ETPairModel
    from .models.pair import ETPairPotential as ETPairPotential
    from .models.parameters import get_linear_parameters as get_linear_parameters
    from .models.parameters import length_basis as length_basis
    from .models.parameters import set_linear_parameters as set_linear_parameters
    from .models.readout import SelectLinear as SelectLinear
    from .models.stacked import StackedCalculator as StackedCalculator
    from .models.zbl import ZBLPotential as ZBLPotential
    from .neighbors import NeighborCache as NeighborCache

    __version__: str

_NAMES = {
    "assembly": "energy_forces_virial_basis potential_energy_basis site_basis site_basis_jacobian",
    "basis.angular": "AngularEmbedding",
    "basis.many_body": "SparseACEBasis",
    "basis.polynomials": "Polynomials SplineTable chebyshev jacobi legendre",
    "basis.radial": "RadialEmbedding",
    "basis.selection": "EuclideanDegree TotalDegree select_many_body",
    "basis.transforms": "ACE1PolyEnvelope1sR AgnesiTransform EnvelopeOfR PolyEnvelope1sR PolyEnvelope2sX",
    "batch": "Batch BatchResult evaluate_batch",
    "calculator": "ACECalculator",
    "evaluate": "energy_forces_virial forces potential_energy site_edges site_energies site_grads virial",
    "io.model_file": "load_model save_model",
    "models.ace": "ETACE ETACEPotential",
    "models.convert": "convert2et convert2et_full convertpair one_body splinify",
    "models.distances": "default_rin0cuts",
    "models.heuristics": "ace1_model ace_model",
    "models.model": "ACEModel",
    "models.onebody": "ETOneBody ETOneBodyPotential",
    "models.pair": "ETPairModel ETPairPotential",
    "models.parameters": "get_linear_parameters length_basis set_linear_parameters",
    "models.readout": "SelectLinear",
    "models.stacked": "StackedCalculator",
    "models.zbl": "ZBLPotential",
    "neighbors": "NeighborCache",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
_SUBPACKAGES = ("basis", "io", "models")

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version(__name__)
    elif name in _MODULE_OF:
        value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBPACKAGES, "__version__"})
