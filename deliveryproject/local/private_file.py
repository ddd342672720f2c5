"""Files that only their owner may read, written so that nobody ever sees half of one."""

import os
import secrets
from pathlib import Path


def write_draft(path: Path, text: str) -> Path:
    """Write text to a new file of mode 0600 beside path and return it; the caller moves it into place."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return draft
