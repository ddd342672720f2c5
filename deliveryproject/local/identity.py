"""Which process is meant: a pid alone may have been given to another process since."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_LINUX = sys.platform.startswith("linux")


class Identity(NamedTuple):
    """A pid and the moment that process started, in the system's own words."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return started_at(self.pid) == self.started


def identify(pid: int) -> Identity | None:
    """Who has this pid now; None when nobody has."""
    started = started_at(pid)
    return None if started is None else Identity(pid, started)


def started_at(pid: int) -> str | None:
    """A text that no other process with this pid ever has; None when no such process runs.

    Linux: boot id and clock ticks since boot, so neither a reboot nor a change of the clock is mistaken.
    """
    if pid <= 0:
        return None
    if _LINUX:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return None
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[0] in "ZX":
            return None
        return f"{_boot_id()}/{fields[19]}"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return shown[1].strip() if len(shown) == 2 and not shown[0].startswith("Z") else None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
