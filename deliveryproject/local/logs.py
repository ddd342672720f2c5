"""Bounds the logs of the parts, which write to their files themselves."""

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024
"""One log's size before it starts anew; the one before is kept, so a part uses about twice this."""


def keep_bounded(log: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Move what a log holds to `NAME.1` once it is too long.

    The file itself stays, because its part has it open (for appending, so it goes on at the new end). A line
    written in the instant between the copy and the cut is lost.
    """
    try:
        if log.stat().st_size <= limit_bytes:
            return
    except FileNotFoundError:
        return
    shutil.copyfile(log, log.with_name(log.name + ".1"))
    os.truncate(log, 0)
