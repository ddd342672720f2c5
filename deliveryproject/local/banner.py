"""What `up` prints once everything runs."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from deliveryproject.local.system import System

BOLD = 1
DIM = 2


def style_for(terminal: bool) -> Callable[[int, str], str]:
    """Writes text bold or dim on a terminal, and plainly into a file."""
    if not terminal or os.environ.get("NO_COLOR"):
        return lambda _style, text: text
    return lambda style, text: f"\x1b[{style}m{text}\x1b[0m"


def banner(system: System, *, seconds: float, password: str, style: Callable[[int, str], str]) -> str:
    """Where things are and what to do next. password: the one made at this start, if one was."""
    site = f"http://localhost:{system.port}"
    if password:
        admin = f"user {style(BOLD, 'admin')}, password {style(BOLD, password)} (shown this once)"
    elif os.environ.get("ADMIN_PASSWORD"):
        admin = "user admin, password as in ADMIN_PASSWORD"
    else:
        admin = "user admin, password as printed at the first start"
    rows = [
        ("API", f"{site}/api/v1/"),
        ("Docs", f"{site}/api/docs/"),
        ("Admin", f"{site}/admin/"),
        ("", admin),
        ("Workers", ", ".join(system.worker_names)),
        ("Database", _where(system.database_url, embedded=system.postgres is not None)),
        ("Broker", _where(system.broker_url, embedded=system.broker is not None)),
        ("Data", str(system.data.path)),
        ("Logs", str(system.data.logs)),
    ]
    manage = _manage_command()
    commands = [
        (f"{manage} create_api_key NAME --role producer", "make an API key"),
        (f"{manage} demo", "watch sample traffic arrive in order"),
    ]
    width = max(len(command) for command, _ in commands)
    return "\n".join(
        [
            "",
            style(BOLD, "Ordered delivery is running") + style(DIM, f"  ready in {seconds:.0f} s"),
            "",
            *(f"  {name:<10}{text}" for name, text in rows),
            "",
            style(DIM, "  In another shell:"),
            *(f"    {command:<{width}}  {style(DIM, why)}" for command, why in commands),
            "",
            style(DIM, "  Ctrl-C stops everything; the data stays."),
            "",
        ]
    )


def _where(url: str, *, embedded: bool) -> str:
    address = urlsplit(url)
    host = f"{address.hostname or 'localhost'}{f':{address.port}' if address.port else ''}"
    return f"{host} (embedded)" if embedded else f"{address.scheme} at {host}"


def _manage_command() -> str:
    """How to call manage.py from the directory we were called in, with the settings that it then needs."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    given = os.environ.get("DATA_DIR")
    return f"{f'DATA_DIR={shlex.quote(given)} ' if given else ''}{python} manage.py"
