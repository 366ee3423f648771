"""Screened nuclear repulsion after Ziegler, Biersack and Littmark (ZBL)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._types import Elements, FloatArray
from ..elements import parse_elements
from .base import Potential, parse_rcuts

COULOMB = 14.399645  #: e²/(4πε0) in eV Å
SCREENING_LENGTH = 0.46850  #: numerator of the screening length a = 0.4685 Å/(Zi^0.23 + Zj^0.23), 0.88534 Bohr radii
AMPLITUDES = np.array([0.18175, 0.50986, 0.28022, 0.02817])  #: of the universal screening function; sum 1
DECAYS = np.array([3.19980, 0.94229, 0.40290, 0.20162])  #: its decays, per screening length


class ZBLPotential(Potential):
    """Universal ZBL repulsion, made to end smoothly at a cutoff. Has no linear parameters.

    V(r) = k Zi Zj/r · φ(r/a) less its own Taylor polynomial of second order about the cutoff, so that energy, force
    and the force's slope reach zero there. V and its derivatives alternate in sign, which makes the difference
    positive, decreasing and convex inside the cutoff, whatever the cutoff. Each of two atoms gets half of it.

    Parameters
    ----------
    elements : elements
        Symbols or atomic numbers; their order defines the species indices.
    rcut : float or array_like (NZ, NZ)
        Cutoff (Å), species of the centre first.

    References
    ----------
    J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter (Pergamon, 1985).
    """

    def __init__(self, elements: Elements, rcut: npt.ArrayLike) -> None:
        self._elements = parse_elements(elements)
        self.rcuts = parse_rcuts(rcut, len(self._elements))

    def __repr__(self) -> str:
        return f"ZBLPotential({self._elements}, rcut={self.rcut})"

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements; their order defines the species indices."""
        return self._elements

    def evaluate(self, r: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike) -> FloatArray:
        """Return the site's half of the pair energy (eV) at distances r (n_edges,) in Å, 0 from the cutoff on."""
        return self._smoothed(r, zi, zj, 0)

    def derivative(self, r: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike) -> FloatArray:
        """Return the derivative of `evaluate` with respect to r (eV/Å)."""
        return self._smoothed(r, zi, zj, 1)

    def _smoothed(self, r: npt.ArrayLike, zi: npt.ArrayLike, zj: npt.ArrayLike, order: int) -> FloatArray:
        """Half the potential less its Taylor polynomial, or the derivative of that."""
        r, zi, zj = np.asarray(r, dtype=np.float64), np.asarray(zi), np.asarray(zj)
        Zi, Zj, rcut = self.numbers[zi], self.numbers[zj], self.rcuts[zi, zj]
        at_cutoff = _bare_potential(rcut, Zi, Zj)
        t = r - rcut
        if order == 0:
            value = _bare_potential(r, Zi, Zj)[0] - at_cutoff[0] - t * (at_cutoff[1] + t * at_cutoff[2] / 2)
        else:
            value = _bare_potential(r, Zi, Zj)[1] - at_cutoff[1] - t * at_cutoff[2]
        half: FloatArray = np.where(t < 0, value / 2, 0)
        return half


def _bare_potential(r: FloatArray, Zi: npt.ArrayLike, Zj: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return k Zi Zj/r φ(r/a) and its first and second derivative."""
    Zi, Zj = np.asarray(Zi, dtype=np.float64), np.asarray(Zj, dtype=np.float64)
    decays = DECAYS * ((Zi**0.23 + Zj**0.23) / SCREENING_LENGTH)[..., None]
    terms = AMPLITUDES * np.exp(-decays * r[..., None])
    phi, dphi, ddphi = terms.sum(axis=-1), -(decays * terms).sum(axis=-1), (decays**2 * terms).sum(axis=-1)
    charge = COULOMB * Zi * Zj
    return (
        charge * phi / r,
        charge * (dphi / r - phi / r**2),
        charge * (ddphi / r - 2 * dphi / r**2 + 2 * phi / r**3),
    )
