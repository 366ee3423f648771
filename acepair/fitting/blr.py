"""Bayesian linear regression: both variances from the evidence, and samples of the posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._types import FloatArray
from .spectrum import Spectrum
from .system import LinearSystem


@dataclass(frozen=True, eq=False)
class Posterior:
    """Normal distribution of the parameters, N(mean, V diag(variances) Vᵀ)."""

    mean: FloatArray  #: (L,)
    variances: FloatArray  #: (L,) along the right singular vectors
    V: FloatArray  #: (L, L), columns are the singular vectors

    def sample(self, n: int, seed: int | None = None) -> FloatArray:
        """Return samples (n, L); reproducible with a seed."""
        noise = np.random.default_rng(seed).standard_normal((n, len(self.variances)))
        return self.mean + (noise * np.sqrt(self.variances)) @ self.V.T

    def scaled(self, diagonal: FloatArray) -> Posterior:
        """Return the distribution of parameters divided by `diagonal`."""
        return Posterior(self.mean / diagonal, self.variances, self.V / diagonal[:, None])


class Evidence:
    """−log evidence of a linear system, as a function of the prior and noise variances σ_c², σ_ε².

    ½[Σ ln(σ_c² s² + σ_ε²) + (N − r) ln σ_ε² + Σ (uᵀy)²/(σ_c² s² + σ_ε²) + (‖y‖² − Σ(uᵀy)²)/σ_ε² + N ln 2π]
    with singular values s, left vectors u, N rows and rank r.

    References
    ----------
    D. J. C. MacKay, Neural Comput. 4, 415 (1992), 10.1162/neco.1992.4.3.415.
    """

    def __init__(self, system: LinearSystem) -> None:
        self.spectrum = Spectrum(system)
        self.s, self.c, self.rest = self.spectrum.s, self.spectrum.c, self.spectrum.rest
        self.n_rows = system.n_rows

    def __call__(self, variance: float, noise: float) -> float:
        """Return −log evidence for variances σ_c² and σ_ε²."""
        d = variance * self.s**2 + noise
        n = self.n_rows
        total = np.log(d).sum() + (n - len(d)) * np.log(noise) + (self.c**2 / d).sum() + self.rest / noise
        return float(0.5 * (total + n * np.log(2 * np.pi)))

    def best_variance(self, ratio: float) -> float:
        """Return the σ_c² of greatest evidence for a ratio λ = σ_ε²/σ_c²; it is a closed form."""
        return float(((self.c**2 / (self.s**2 + ratio)).sum() + self.rest / ratio) / self.n_rows)

    def maximize(self) -> tuple[float, float]:
        """Return σ_c² and σ_ε² of greatest evidence.

        σ_c² is eliminated by its closed form; what is left is a function of λ alone.

        Raises
        ------
        ValueError
            If the matrix or the labels are zero.
        """
        self.spectrum.check()

        def objective(t: float) -> float:
            ratio = np.exp(t)
            variance = self.best_variance(ratio)
            return self(variance, variance * ratio)

        ratio = self.spectrum.best_ratio(objective, self._slope)
        variance = self.best_variance(ratio)
        return variance, variance * ratio

    def _slope(self, t: float) -> float:
        """Return the derivative of −2 log evidence by ln λ, σ_c² being the best for each λ."""
        ratio = np.exp(t)
        d = self.s**2 + ratio
        explained = (self.c**2 / d**2).sum() * ratio + self.rest / ratio
        return float((ratio / d).sum() + self.n_rows - len(d) - explained / self.best_variance(ratio))

    def effective_parameters(self, ratio: float) -> float:
        """Return how many parameters the labels determine, Σ s²/(s² + λ)."""
        return float((self.s**2 / (self.s**2 + ratio)).sum())

    def posterior(self, variance: float, noise: float) -> Posterior:
        """Return the distribution of the parameters for variances σ_c², σ_ε²."""
        ratio = noise / variance
        variances = np.full(len(self.spectrum.V), variance)
        variances[: len(self.s)] = noise / (self.s**2 + ratio)
        return Posterior(self.spectrum.ridge(ratio), variances, self.spectrum.V)
