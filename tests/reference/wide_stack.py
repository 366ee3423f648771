"""A stack one of whose parts knows more elements than the model: species of model and plan differ."""

from acepair import StackedCalculator, ZBLPotential
from acepair.io.acejax import read_acejax

from .cases import model_path


def wide_stack() -> StackedCalculator:
    """Si and O, with a repulsion that covers H and Al too."""
    return StackedCalculator(
        [*read_acejax(model_path("sio_tutorial")).components, ZBLPotential(("H", "O", "Si", "Al"), 3.0)]
    )
