"""What the benchmarks need beside ../requirements.txt, installed into the environment that runs them."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent


def install(say: Callable[[str], None]) -> None:
    """Once; asks no registry when all of it is there. Raises CalledProcessError."""
    required = [line.partition("==") for line in _lines() if "==" in line]
    if all(_installed(name) == pinned for name, _, pinned in required):
        return
    say("Installing what the benchmarks need, once …")
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    files = ["-r", str(HERE / "requirements.txt"), "-c", str(HERE.parent / "requirements.txt")]
    subprocess.run([*pip, *files], check=True)


def _lines() -> list[str]:
    return [line.partition("#")[0].strip() for line in (HERE / "requirements.txt").read_text().splitlines()]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
