"""The stage of what is measured inside one process: embedded servers in a directory that goes away, Django set up."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deliveryproject.local.ports import free_port
from deliveryproject.local.postgres import Postgres
from deliveryproject.local.valkey import Valkey


@contextmanager
def stage() -> Iterator[Path]:
    """Embedded PostgreSQL (synchronous_commit on, as `up` runs it) and broker, migrated, Django set up.

    Servers named by DATABASE_URL and BROKER_URL are used instead. Leaves nothing behind.
    """
    directory = Path(tempfile.mkdtemp(prefix="ordered-delivery-bench-"))
    password = secrets.token_urlsafe(24)
    parts = []
    try:
        if not os.environ.get("DATABASE_URL"):
            postgres = Postgres(
                directory / "postgres", port=free_port(), password=password, log=directory / "postgres.log"
            )
            postgres.start()
            parts.append(postgres.part)
            os.environ["DATABASE_URL"] = postgres.url()
        if not os.environ.get("BROKER_URL"):
            valkey = Valkey(directory / "broker", port=free_port(), password=password, log=directory / "broker.log")
            valkey.start()
            parts.append(valkey.part)
            os.environ["BROKER_URL"] = valkey.url
        os.environ.setdefault("DATA_DIR", str(directory / "data"))
        os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deliveryproject.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield directory
    finally:
        for part in reversed(parts):
            part.stop()
        shutil.rmtree(directory, ignore_errors=True)
