"""Where an installed wheel keeps its files."""

import importlib.util
from pathlib import Path


def wheel_directory(module: str) -> Path:
    """The folder of a package, found without importing it: some do more at import than we want.

    Raises RuntimeError when it is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"The package {module} is not installed; run `make install`.")
    return Path(spec.origin).parent
