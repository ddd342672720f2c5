import contextlib
import os
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from deliveryproject.local import readiness
from deliveryproject.local.banner import banner, style_for
from deliveryproject.local.data_dir import DataDir, DataDirInUse
from deliveryproject.local.identity import identify
from deliveryproject.local.leftovers import end_leftovers
from deliveryproject.local.part import PartFailed
from deliveryproject.local.ports import obstacle
from deliveryproject.local.state import State
from deliveryproject.local.stop_signals import StopRequested, StopSignals
from deliveryproject.local.supervisor import Supervisor
from deliveryproject.local.system import System

CHECK_SECONDS = 0.5
"""How often everything is looked after when no signal asks for it sooner."""

PATIENCE_SECONDS = 30
"""How long a start may take before the reader is told what it waits for."""


class Command(BaseCommand):
    help = (
        "Starts everything on this machine, in the foreground: PostgreSQL and broker (unless DATABASE_URL and"
        " BROKER_URL name others), migrations, web, delivery workers and beat. Ctrl-C stops all of it."
    )
    # Checks may need the database, which is not there yet.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.started = time.monotonic()
        self.password = ""
        self.signals = StopSignals()
        data = DataDir(settings.DATA_DIR)
        with self.signals.received():
            try:
                data.create()
                data.lock()
            except DataDirInUse as error:
                raise CommandError(str(error)) from None
            except OSError as error:
                raise CommandError(f"DATA_DIR cannot be used: {error}") from None
            self._run(data)

    def _run(self, data: DataDir) -> None:
        if ended := end_leftovers(State.read(data.state_file)):
            self._say(f"Ended what an earlier `up` had left running: {', '.join(ended)}.")
        self._check_settings()
        system = System(
            data,
            port=settings.PORT,
            workers=settings.WORKERS,
            database_url=os.environ.get("DATABASE_URL", ""),
            broker_url=os.environ.get("BROKER_URL", ""),
        )
        supervisor = Supervisor(announce=self._say, changed=lambda: self._record(data, system, supervisor))
        try:
            self._start(system, supervisor)
            self._look_after(system, supervisor)
        except StopRequested:
            self._say("Stopping …")
        except (PartFailed, OSError, RuntimeError) as error:
            raise CommandError(str(error)) from error
        finally:
            self._stop(supervisor)
            data.state_file.unlink(missing_ok=True)
        self._say("Stopped.")

    def _check_settings(self) -> None:
        if settings.WORKERS < 1:
            raise CommandError("WORKERS must be 1 or more.")
        if not 1 <= settings.PORT <= 65535:
            raise CommandError("PORT must be between 1 and 65535.")
        if reason := obstacle(settings.PORT):
            raise CommandError(
                f"Port {settings.PORT} cannot be used ({reason}). Stop the program that uses it, or"
                " choose another port, as in: PORT=8001 make up"
            )

    def _start(self, system: System, supervisor: Supervisor) -> None:
        self._say("Starting …")
        for server in (system.postgres, system.broker):
            if server is not None:
                supervisor.watch([server.part])
                server.start(pause=self.signals.pause)
        self.password = system.prepare_database(self.signals.pause)
        programs = system.programs()
        supervisor.watch(programs)
        for program in programs:
            program.start()

    def _look_after(self, system: System, supervisor: Supervisor) -> None:
        """Keep everything running until a stop is asked for; says once when it is ready."""
        host = next((host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"), "localhost")
        ready = warned = False
        while True:
            self.signals.pause(CHECK_SECONDS if ready else 0.1)
            supervisor.check()
            if ready:
                continue
            status, body = readiness.answer(system.port, host)
            took = time.monotonic() - self.started
            if status == 200:
                ready = True
                style = style_for(sys.stdout.isatty())
                self._say(banner(system, seconds=took, password=self.password, style=style))
                self.password = ""
            elif took > PATIENCE_SECONDS and not warned:
                warned = True
                self._say(
                    f"Not ready after {took:.0f} s; GET /readyz says: {status or ''} {body}\n"
                    f"The logs are in {system.data.logs}."
                )

    def _stop(self, supervisor: Supervisor) -> None:
        if self.password:
            self._say(f"The password made for the superuser admin: {self.password}")
        asked = self.signals.count
        # Whoever asks a second time does not want to wait.
        supervisor.stop(wait=self.signals.wait, hurry=lambda: self.signals.count > max(asked, 1))

    def _record(self, data: DataDir, system: System, supervisor: Supervisor) -> None:
        """Leave the note by which other commands, and the next start, find what runs."""
        supervisor_identity = identify(os.getpid())
        if supervisor_identity is None:
            raise RuntimeError("This process cannot see itself in the process table.")
        State(
            supervisor=supervisor_identity,
            database_url=system.database_url,
            broker_url=system.broker_url,
            web_url=f"http://localhost:{system.port}",
            parts={part.name: who for part in supervisor.parts if (who := part.who()) is not None},
        ).write(data.state_file)

    def _say(self, text: str) -> None:
        # The terminal may have been closed: that is no reason to leave anything running.
        with contextlib.suppress(OSError):
            self.stdout.write(text)
            self.stdout.flush()
