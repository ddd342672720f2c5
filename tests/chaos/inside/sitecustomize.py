"""Loaded at its start by every Python process of a chaos run (by PYTHONPATH): harm that only works from inside."""

import importlib
import os

if os.environ.get("CHAOS_CLOCK_SECONDS"):
    importlib.import_module("chaos_clock").shift(float(os.environ["CHAOS_CLOCK_SECONDS"]))

if os.environ.get("CHAOS_WAKEUPS"):
    importlib.import_module("chaos_wakeups").mangle(os.environ["CHAOS_WAKEUPS"])
