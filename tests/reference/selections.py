"""How the bases of the golden models were selected: arguments of `select_many_body`."""

from acepair.basis.selection import TotalDegree

GOLDEN = {
    "sio_tutorial": {"order": 3, "level": TotalDegree(), "max_level": 10, "maxl": 6},
    "si_order4": {"order": 4, "level": TotalDegree(), "max_level": 12},
    "si_order4_large": {"order": 4, "level": TotalDegree(), "max_level": 14},
    "si_zuo_small": {"order": 3, "level": TotalDegree(), "max_level": [20, 16, 12]},
    "si_zuo_large": {"order": 3, "level": TotalDegree(), "max_level": [25, 21, 17]},
    "tial_ace1": {"order": 3, "level": TotalDegree(wn=2), "max_level": 6},
}
