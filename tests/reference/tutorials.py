"""The models of the tutorials."""

from acepair import (
    ETACE,
    AngularEmbedding,
    RadialEmbedding,
    SelectLinear,
    SparseACEBasis,
    TotalDegree,
    ace1_model,
    ace_model,
    chebyshev,
)

E0 = {"Si": -0.846, "O": -1.023}


def tutorial(**changes):
    keywords = {"elements": ("Si", "O"), "order": 3, "Ytype": "solid", "level": TotalDegree(), "max_level": 10}
    keywords |= {"maxl": 6, "pair_maxn": 10, "rcut": 5.5, "E0s": E0, "pair_learnable": True}
    return ace_model(**keywords | changes)


def ti_al(**changes):
    keywords = {"elements": ("Ti", "Al"), "order": 3, "totaldegree": 6, "rcut": 5.5}
    return ace1_model(**keywords | {"Eref": {"Ti": -1586.0195, "Al": -105.5954}} | changes)


def scratch():
    """Layers of the tutorial's model from scratch."""
    spec = [(n, l) for n in range(1, 7) for l in range(5)]
    rembed = RadialEmbedding(lambda r: 1 - 2 * r / 5.5, lambda y: (1 - y**2) ** 2, chebyshev(6), spec, ("Si", "O"))
    basis = SparseACEBasis([[nl] for nl in spec], spec, 4)
    return ETACE(rembed, AngularEmbedding(4, "spherical"), basis, SelectLinear(len(basis), ("Si", "O")))
