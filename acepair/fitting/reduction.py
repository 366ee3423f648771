"""The tree by which triangles of parts become the triangle of the whole.

The tree depends on the number of parts only, not on who computes them or in which order they are done: threads, the
processes of a cluster and an assembly that was interrupted give the same bits.

References
----------
J. Demmel et al., SIAM J. Sci. Comput. 34, A206 (2012), 10.1137/080731992.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from .system import IncrementalQR


class Node(NamedTuple):
    """A triangle in the tree: of part `place` at level 0, else of nodes 2·place and 2·place + 1 of the level below."""

    level: int
    place: int

    def covers(self, other: Node) -> bool:
        """Say whether the parts of another node are among those of this one."""
        return other.level <= self.level and other.place >> (self.level - other.level) == self.place


Save = Callable[[Node, IncrementalQR], object]


def _nowhere(node: Node, qr: IncrementalQR) -> None:
    """Save nothing."""


class Reduction:
    """Triangles so far, merged as soon as both halves are there, by whoever brings the second.

    Parameters
    ----------
    n_parts : int
    """

    def __init__(self, n_parts: int) -> None:
        self.n_parts = n_parts
        self._waiting: dict[Node, IncrementalQR] = {}
        self._lock = threading.Lock()

    def add(self, node: Node, qr: IncrementalQR, save: Save = _nowhere) -> None:
        """Add the triangle of a node, which is then overwritten; any thread may call.

        Parameters
        ----------
        node : Node
        qr : IncrementalQR
        save : callable
            Called with the node and triangle that wait for another, before any other thread can take them.
        """
        while self.width(node.level) > 1:
            other = Node(node.level, node.place ^ 1)
            if other.place < self.width(node.level):
                found = self._take(other)
                if found is None:
                    save(node, qr)
                    found = self._take(other, or_leave=(node, qr))
                if found is None:
                    return
                qr, second = (qr, found) if node < other else (found, qr)
                qr.merge(second.triangle, second.n_rows, overwrite=True)
            node = Node(node.level + 1, node.place // 2)
        save(node, qr)
        self._waiting[node] = qr

    def _take(self, node: Node, or_leave: tuple[Node, IncrementalQR] | None = None) -> IncrementalQR | None:
        """Take a triangle that waits; if there is none, leave another to wait."""
        with self._lock:
            found = self._waiting.pop(node, None)
            if found is None and or_leave is not None:
                self._waiting[or_leave[0]] = or_leave[1]
            return found

    def width(self, level: int) -> int:
        """Return how many nodes a level has; the last may be of fewer parts."""
        return -(-self.n_parts >> level)

    def missing(self) -> list[int]:
        """Return the parts that are not there yet."""
        there = list(self._waiting)
        return [k for k in range(self.n_parts) if not any(node.covers(Node(0, k)) for node in there)]

    def result(self) -> IncrementalQR:
        """Return the triangle of all parts."""
        (qr,) = self._waiting.values()
        return qr


def depth(n_parts: int) -> int:
    """Return the number of levels above the parts."""
    return max(n_parts - 1, 0).bit_length()
