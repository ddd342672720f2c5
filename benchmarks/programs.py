"""Contenders that are programs of their own: one JSON argument in, one line of JSON out."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.turns import Figures

CHECKOUT = Path(__file__).resolve().parent.parent

SECONDS = 900
"""The longest that one turn may take."""


class ProgramFailed(Exception):
    """It ended with an error, or said nothing that can be read."""


def run_program(command: Sequence[str], spec: dict[str, Any], *, environment: dict[str, str] | None = None) -> Any:
    """Its last line of output, read as JSON."""
    done = subprocess.run(
        [*command, json.dumps(spec)],
        cwd=CHECKOUT,
        env=environment or dict(os.environ),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise ProgramFailed(f"{' '.join(command[-2:])} ended with {done.returncode}: {done.stderr.strip()[-1500:]}")
    return json.loads(lines[-1])


def run_module(module: str, spec: dict[str, Any], *, environment: dict[str, str] | None = None) -> Any:
    return run_program([sys.executable, "-m", module], spec, environment=environment)


def judged(said: dict[str, Any], *, count: int) -> Figures:
    """The figures of a program that counts and judges by itself."""
    if said["done"] != count:
        raise ProgramFailed(f"{said['done']} of {count} were done")
    numbers = {name: float(number) for name, number in said.items() if name not in ("done", "violations")}
    broken = int(said["violations"])
    return Figures(numbers, {"attempts out of order": broken} if broken else {})
