"""Curves for server-rendered SVG: paths in a box of 100 by 100, which CSS stretches; labels are HTML beside it.

So the text keeps its size on a phone and lines their width, without a script or an inline style.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

NICE = (1, 2, 4, 6, 8, 10)
"""What a linear scale may end at, times a power of ten: half of each is a plain number too."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A vertical axis. ticks: values from the top to the bottom, at even distances."""

    ticks: tuple[float, ...]
    logarithmic: bool = False

    def y(self, value: float) -> float:
        """Where the value stands: 0 at the top, 100 at the bottom."""
        top, bottom = self.ticks[0], self.ticks[-1]
        if self.logarithmic:
            top, bottom, value = log10(top), log10(bottom), log10(max(value, bottom))
        return 100.0 * (top - value) / (top - bottom)


def linear(values: Sequence[float | None]) -> Scale:
    """From zero to a round number that holds all values."""
    most = max((value for value in values if value is not None), default=0.0)
    if most <= 0:
        return Scale((1.0, 0.5, 0.0))
    power = 10.0 ** floor(log10(most))
    top = next(nice for nice in NICE if nice * power >= most * 0.999) * power
    return Scale((top, top / 2, 0.0))


def logarithmic(values: Sequence[float | None]) -> Scale:
    """From a power of ten to another that hold all values; at least one power apart."""
    known = [value for value in values if value is not None and value > 0]
    if not known:
        return Scale((1.0, 0.1, 0.01, 0.001), logarithmic=True)
    low = floor(log10(min(known)) + 0.001)
    high = max(ceil(log10(max(known)) - 0.001), low + 1)
    return Scale(tuple(10.0**power for power in range(high, low - 1, -1)), logarithmic=True)


def line(values: Sequence[float | None], scale: Scale) -> str:
    """The curve as a path; what is unknown is a gap, and a value alone is a dot."""
    return " ".join(_piece(piece, scale) for piece in _pieces(values))


def area(values: Sequence[float | None], scale: Scale) -> str:
    """What lies between the curve and the bottom, as a path."""
    return " ".join(f"{_piece(piece, scale)} L{piece[-1][0]:g} 100 L{piece[0][0]:g} 100 Z" for piece in _pieces(values))


def _pieces(values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Stretches of known values, each as (x, value)."""
    width = max(len(values) - 1, 1)
    pieces: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if value is not None:
            pieces[-1].append((round(100 * number / width, 2), value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _piece(piece: list[tuple[float, float]], scale: Scale) -> str:
    points = [f"{x:g} {scale.y(value):.4g}" for x, value in piece]
    return f"M{points[0]} L" + " ".join(points[1:] or [points[0]])
