"""Python's garbage collector in a process that serves for long: docs/adr/0032-garbage.md."""

import gc

ALLOCATIONS = 20_000
"""Objects that can hold others, made and not yet freed, between two looks at the youngest: some megabytes."""

LOOKS = 20
"""At each younger generation, before the next older one is looked at."""


def spare_what_is_loaded() -> None:
    """Leave out of every later collection what lives now: modules, models, settings. Called once all of it is loaded.

    Otherwise each full collection walks through some hundred thousand objects that stay for ever, and stands still
    meanwhile. Cycles that are garbage already are freed first.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, LOOKS, LOOKS)
