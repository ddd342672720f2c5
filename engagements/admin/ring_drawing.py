"""The ring as a drawing: which stretches of the hash belong to which worker. The template places it."""

from dataclasses import dataclass
from math import cos, pi, sin

from engagements.domain.ring import Arc, Ring

SIZE = 160
RADIUS = 62
"""Of the middle of the band, in pixels of a square of SIZE."""

COLOURS = 8
"""The first workers by name have a colour of their own each; further ones begin anew."""

DRAWN_WORKERS = 24
"""A worker has 160 stretches: of more workers than this only the shares are told."""

LEAST = 0.0008
"""A stretch below this is too short to be seen."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """All of one worker's stretches as one path. colour: a number below COLOURS."""

    worker: str
    share: float
    colour: int
    path: str


def drawing_of(ring: Ring) -> list[Stretch]:
    """One per worker, by name; without paths when they are too many to be told apart."""
    shares = ring.shares()
    paths: dict[str, list[str]] = {worker: [] for worker in ring.workers}
    if len(ring.workers) <= DRAWN_WORKERS:
        for arc in ring.arcs():
            if arc.end - arc.begin >= LEAST:
                paths[arc.worker].append(_path(arc))
    return [
        Stretch(worker, shares[worker], number % COLOURS, "".join(paths[worker]))
        for number, worker in enumerate(ring.workers)
    ]


def _path(arc: Arc) -> str:
    if arc.end - arc.begin > 0.999:  # an arc that ends where it begins is none
        return _path(Arc(0.0, 0.5, arc.worker)) + _path(Arc(0.5, 0.9999, arc.worker))
    large = int(arc.end - arc.begin > 0.5)
    return f"M{_point(arc.begin)}A{RADIUS} {RADIUS} 0 {large} 1 {_point(arc.end)}"


def _point(turn: float) -> str:
    """Clockwise from the top."""
    angle = 2 * pi * turn
    return f"{SIZE / 2 + RADIUS * sin(angle):.2f} {SIZE / 2 - RADIUS * cos(angle):.2f}"
