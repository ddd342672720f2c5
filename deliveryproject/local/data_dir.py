"""DATA_DIR: what is kept in it, who may read it, and that only one `up` uses it at a time."""

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from deliveryproject.local.ports import free_port, is_free
from deliveryproject.local.private_file import write_draft


class DataDirInUse(RuntimeError):
    """Another `up` already runs on this data directory."""


class DataDir:
    """The directory of everything that must outlive a stop, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    @property
    def state_file(self) -> Path:
        return self.path / "up.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def create(self) -> None:
        """Make the directory, closed to others; one that exists keeps its mode."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def port(self, name: str) -> int:
        """The port that this server had at the last start, or another if that one is taken now."""
        path = self.path / f"{name}.port"
        try:
            port = int(path.read_text())
        except (OSError, ValueError):
            port = 0
        if not port or not is_free(port):
            port = free_port()
            path.write_text(f"{port}\n")
        return port

    def lock(self) -> None:
        """Keep every other `up` off this directory until this process ends, however it ends.

        Raises DataDirInUse.
        """
        lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise DataDirInUse(
                f"Another `up` (process {holder}) already runs on {self.path}. Stop it first, or choose"
                " another DATA_DIR (and PORT) for a second system."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def secret(self, name: str, *, characters: int = 32) -> str:
        """A random secret that is made once and kept in a file of mode 0600.

        characters: least length. Two processes that ask at once get the same one.
        """
        path = self.path / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            pass
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = write_draft(path, secrets.token_urlsafe(characters))
        with contextlib.suppress(FileExistsError):
            # Unlike a rename, a link never replaces what another process has put there meanwhile.
            os.link(draft, path)
        draft.unlink()
        return path.read_text().strip()
