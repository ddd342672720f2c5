"""The stage of every benchmark: embedded servers in a directory that goes away, and workers started on demand."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deliveryproject.local.ports import free_port
from deliveryproject.local.postgres import Postgres
from deliveryproject.local.valkey import Valkey

CHECKOUT = Path(__file__).resolve().parent.parent


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


@contextmanager
def worker(directory: Path, name: str = "bench") -> Iterator["subprocess.Popen[bytes]"]:
    """One delivery worker process, as production starts it; stopped by SIGTERM at the end."""
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "deliveryproject", "worker", "-n", f"{name}@bench", "-l", "WARNING"],
            cwd=CHECKOUT,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def order_violations() -> int:
    """Neighbours in one user's recorded sequence that stand against (order time, arrival): must be 0."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT count(*) FROM (
                SELECT (order_time, arrival) < lag((order_time, arrival)) OVER line AS back
                FROM (SELECT user_id, sequence, order_time, arrival FROM engagements_engagement
                    WHERE sequence IS NOT NULL AND NOT late) e
                WINDOW line AS (PARTITION BY user_id ORDER BY sequence)
            ) pairs WHERE back""")
        [(count,)] = cursor.fetchall()
    return int(count)
