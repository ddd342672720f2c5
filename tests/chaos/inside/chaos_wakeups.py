"""Wake-ups that are lost, repeated or shuffled on their way: Celery's own `send_task`, as a file tells it."""

import importlib.abc
import importlib.util
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

LOOK_SECONDS = 0.2
"""How often the file is read again."""


def mangle(path: str) -> None:
    """Obey the JSON object in this file: `drop` (a share), `copies`, `shuffle` (how many to hold back and mix)."""
    sys.meta_path.insert(0, _AfterImport("celery.app.base", lambda module: _patch(module.Celery, Path(path))))


def _patch(celery: Any, path: Path) -> None:
    send_task = celery.send_task
    held: list[tuple[Any, ...]] = []
    mode: dict[str, float] = {}
    looked = 0.0

    def mangled(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        nonlocal mode, looked
        if not name.startswith("workers.wake"):
            return send_task(self, name, *args, **kwargs)
        if time.monotonic() - looked > LOOK_SECONDS:
            looked = time.monotonic()
            try:
                mode = json.loads(path.read_text())
            except (OSError, ValueError):
                mode = {}
        if random.random() < mode.get("drop", 0):
            return None
        held.extend([(self, name, args, kwargs)] * int(mode.get("copies", 1)))
        if len(held) < mode.get("shuffle", 0):
            return None
        random.shuffle(held)
        messages = held.copy()
        held.clear()
        for app, task, task_args, task_kwargs in messages:
            send_task(app, task, *task_args, **task_kwargs)
        return None

    celery.send_task = mangled


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls `then` with one module as soon as it has been imported."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_tell(module: ModuleType) -> None:
                execute(module)
                self._then(module)

            spec.loader.exec_module = execute_and_tell  # type: ignore[method-assign]
        return spec
