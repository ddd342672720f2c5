"""The supervisor starts what has ended, slows down for what keeps ending, and stops in order."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deliveryproject.local.part import Part, PartFailed
from deliveryproject.local.supervisor import Supervisor
from tests.support.up import until

WAITS = "import signal; print('up', flush=True); signal.pause()"
FAILS = "import sys; sys.exit(3)"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"


class Watch:
    """A supervisor whose announcements and started processes are kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.announced: list[str] = []
        self.changes = 0
        self.supervisor = Supervisor(announce=self.announced.append, changed=self._count)

    def _count(self) -> None:
        self.changes += 1

    def part(self, name: str, program: str, *, stop_seconds: float = 10) -> Part:
        part = Part(
            name=name,
            argv=[sys.executable, "-c", program],
            log=self.directory / f"{name}.log",
            env={},
            cwd=self.directory,
            stop_seconds=stop_seconds,
        )
        part.is_ready = lambda: "up" in part.end_of_log()
        return part

    def start(self, *parts: Part) -> None:
        self.supervisor.watch(parts)
        for part in parts:
            part.start()

    def stop(self, *, hurry: bool = False) -> None:
        self.supervisor.stop(wait=time.sleep, hurry=lambda: hurry)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(tmp_path)
    yield watch
    watch.stop(hurry=True)


def test_a_part_that_is_killed_is_started_again_at_once(watch: Watch) -> None:
    part = watch.part("part", WAITS)
    watch.start(part)
    part.wait_until_ready()
    assert part.process is not None
    first = part.process.pid
    os.kill(first, signal.SIGKILL)
    part.process.wait()
    watch.supervisor.check()
    assert part.is_running()
    assert part.process.pid != first
    assert watch.announced == ["part was ended by SIGKILL; starting it again"]
    assert watch.changes == 2


def test_a_part_that_keeps_ending_is_started_less_and_less_often(watch: Watch) -> None:
    watch.start(watch.part("part", FAILS))

    def announced_thrice() -> bool:
        watch.supervisor.check()
        return len(watch.announced) >= 3

    until(announced_thrice, seconds=20, what="three ends are announced")
    waits = [re.sub(r".*starting it again( in (\d) s)?.*", r"\2", line) for line in watch.announced]
    assert waits == ["", "1", "2"]
    assert "exit status 3" in watch.announced[0]
    assert str(watch.directory / "part.log") in watch.announced[1]


def test_a_part_that_cannot_become_ready_says_why(watch: Watch) -> None:
    part = watch.part("part", "import sys; sys.exit('no such luck')")
    part.start()
    with pytest.raises(PartFailed, match="no such luck"):
        part.wait_until_ready()


def test_what_was_started_last_stops_first(watch: Watch) -> None:
    says_when = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(print(time.monotonic_ns())))\n" + WAITS
    first, last = watch.part("first", says_when), watch.part("last", says_when)
    watch.start(first)
    watch.start(last)
    for part in (first, last):
        part.wait_until_ready()
    watch.stop()
    ended_first, ended_last = (int(part.end_of_log().split()[-1]) for part in (first, last))
    assert ended_last < ended_first


@pytest.mark.parametrize("hurry", [False, True])
def test_a_part_that_will_not_stop_is_killed(watch: Watch, hurry: bool) -> None:
    """After its time, or at once when somebody hurries."""
    part = watch.part("part", STUBBORN, stop_seconds=0.3 if not hurry else 300)
    watch.start(part)
    part.wait_until_ready()
    watch.stop(hurry=hurry)
    assert part.process is not None
    assert part.process.returncode == -signal.SIGKILL
