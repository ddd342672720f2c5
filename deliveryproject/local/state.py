"""The note that `up` leaves in DATA_DIR, by which other commands and the next start find its servers."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deliveryproject.local.identity import Identity
from deliveryproject.local.private_file import write_draft


@dataclass(slots=True)
class State:
    """What runs. The file holds passwords, so its mode is 0600."""

    supervisor: Identity
    database_url: str
    broker_url: str
    web_url: str
    parts: dict[str, Identity] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace the note in one step: a reader sees the old one or the new one, never a half."""
        text = json.dumps(
            {
                "supervisor": self.supervisor,
                "database_url": self.database_url,
                "broker_url": self.broker_url,
                "web_url": self.web_url,
                "parts": self.parts,
            },
            indent=2,
        )
        write_draft(path, text + "\n").replace(path)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The note of a running `up` or of one that was killed; None when there is none that can be read."""
        try:
            note = json.loads(path.read_text())
            return cls(
                supervisor=Identity(*note["supervisor"]),
                database_url=note["database_url"],
                broker_url=note["broker_url"],
                web_url=note["web_url"],
                parts={name: Identity(*part) for name, part in note["parts"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def running(path: Path) -> State | None:
    """The note of an `up` that runs now; None when none does."""
    state = State.read(path)
    return state if state is not None and state.supervisor.is_alive() else None
