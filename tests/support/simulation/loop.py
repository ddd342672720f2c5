"""An event loop in simulated time: it runs what is due at this moment and then stops by itself."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any


class _NoFiles:
    """Nothing in a simulation waits for a file or a socket."""

    def select(self, timeout: float | None) -> list[Any]:
        return []

    def close(self) -> None:
        """Holds nothing."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """One process's loop. A process that is frozen is one whose loop nobody runs."""

    _ready: Collection[asyncio.Handle]
    _scheduled: Collection[asyncio.TimerHandle]

    def __init__(self, time: Callable[[], float]) -> None:
        super().__init__()
        self._time = time
        self._selector = _NoFiles()

    def time(self) -> float:
        return self._time()

    def next_event(self) -> float | None:
        """When there is something to run; None: nothing is planned."""
        if self._ready:
            return self.time()
        return min((handle.when() for handle in self._scheduled if not handle.cancelled()), default=None)

    def run_due(self) -> None:
        """Run everything that is due, and what that makes due at the same moment."""
        while True:
            due = self.next_event()
            if due is None or due > self.time():
                return
            self.call_soon(self.stop)
            self.run_forever()

    def abandon(self) -> None:
        """The process is gone: nothing of it runs any more, not even what tidies up."""
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            assert coroutine is not None
            coroutine.close()
        self.set_exception_handler(lambda loop, context: None)
        self.close()

    def _check_closed(self) -> None:
        """What is thrown away with an abandoned process may still plan something; nobody runs it."""

    def _process_events(self, events: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits: the test runs the loop."""
