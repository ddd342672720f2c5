"""`manage.py up`: one command starts everything, keeps it running, and takes all of it away again."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from deliveryproject.local import readiness
from tests.support.up import Up, processes_of, until

RESTART_SECONDS = 10
"""What "started again within seconds" is held to, on a machine that runs other tests too."""


@contextmanager
def running(directory: Path, *, before: tuple[str, ...] = (), **settings: str) -> Iterator[Up]:
    """An `up` that is ready; stopped at the end whatever happened."""
    with Up(directory, settings, before=before) as up:
        yield up.wait_until_ready()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that runs for all the tests that leave it running."""
    with running(tmp_path_factory.mktemp("up") / "data", WORKERS="2") as started:
        yield started


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Where a test's own `up` keeps its data; nothing may still run there when the test is over."""
    path = tmp_path / "data"
    yield path
    assert processes_of(path) == {}


def answers(up: Up) -> bool:
    return readiness.answer(up.port, "localhost")[0] == 200


def test_it_prints_where_things_are(up: Up) -> None:
    for expected in (
        f"http://localhost:{up.port}/admin/",
        str(up.directory),
        "create_api_key",
        "demo",
        "w1@up, w2@up",
    ):
        assert expected in up.output


def test_it_runs_two_workers_web_beat_and_both_servers(up: Up) -> None:
    assert set(up.state.parts) == {"postgres", "broker", "web", "worker w1@up", "worker w2@up", "beat"}
    assert all(part.is_alive() for part in up.state.parts.values())
    assert answers(up)


def test_a_request_for_a_foreign_host_is_refused(up: Up) -> None:
    assert readiness.answer(up.port, "elsewhere.example")[0] == 400


def test_other_commands_find_the_servers_with_no_setting(up: Up) -> None:
    shown = up.manage(
        "shell",
        "--no-imports",
        "-c",
        "from django.contrib.auth.models import User; print(User.objects.get())",
    )
    assert shown.stdout.strip() == "admin", shown.stderr


def test_a_second_up_on_the_same_data_is_refused(up: Up) -> None:
    with Up(up.directory) as second:
        assert second.wait() != 0
    assert f"process {up.process.pid}) already runs on" in second.output
    assert "Traceback" not in second.output
    assert answers(up)


def test_a_port_that_is_taken_is_a_clear_error(directory: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with Up(directory, port=taken.getsockname()[1]) as refused:
            assert refused.wait() != 0
    assert f"Port {refused.port} cannot be used" in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.parametrize("name", ["worker w1@up", "beat", "web", "broker", "postgres"])
def test_a_part_that_dies_comes_back(up: Up, name: str) -> None:
    """Under its own name, and the servers with the port and password that everybody knows."""
    before = up.state
    killed = up.kill_part(name)

    def is_back() -> bool:
        return up.state.parts[name] != killed and up.state.parts[name].is_alive() and answers(up)

    until(is_back, seconds=RESTART_SECONDS, what=f"{name} runs again\n{up.output}")
    assert (up.state.database_url, up.state.broker_url) == (before.database_url, before.broker_url)
    until(lambda: serves(up), seconds=RESTART_SECONDS, what="both servers serve")


def serves(up: Up) -> bool:
    try:
        psycopg.connect(up.state.database_url).close()
        with redis.Redis.from_url(up.state.broker_url) as client:
            return bool(client.ping())
    except (psycopg.OperationalError, redis.ConnectionError):
        return False


def test_a_second_start_keeps_the_data_and_the_password(directory: Path) -> None:
    with running(directory, WORKERS="1") as first:
        first_state = first.state
        with psycopg.connect(first.state.database_url) as connection:
            connection.execute("CREATE TABLE kept (what text)")
            connection.execute("INSERT INTO kept VALUES ('this')")
        with redis.Redis.from_url(first.state.broker_url) as client:
            client.set("kept", "that")
        assert "shown this once" in first.output
    with running(directory, WORKERS="1") as second:
        assert (second.state.database_url, second.state.broker_url) == (
            first_state.database_url,
            first_state.broker_url,
        )
        with psycopg.connect(second.state.database_url) as connection:
            assert connection.execute("SELECT what FROM kept").fetchone() == ("this",)
        with redis.Redis.from_url(second.state.broker_url) as client:
            assert client.get("kept") == b"that"
        assert "shown this once" not in second.output


def test_admin_password_sets_the_password_at_every_start(directory: Path) -> None:
    for password in ("first of them", "second of them"):
        with running(directory, WORKERS="1", ADMIN_PASSWORD=password) as up:
            login = f"print(authenticate(username='admin', password='{password}'))"
            shown = up.manage("shell", "--no-imports", "-c", f"from django.contrib.auth import authenticate; {login}")
            assert shown.stdout.strip() == "admin"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_stop_leaves_no_process_and_no_note(directory: Path, number: signal.Signals) -> None:
    with running(directory, WORKERS="1") as up:
        assert len(processes_of(directory)) > 4
        assert up.stop(number) == 0
        assert processes_of(directory) == {}
    assert not (directory / "up.json").exists()
    assert "Stopped." in up.output
    refused = up.manage("migrate", "--check")
    assert refused.returncode != 0
    assert "run `make up`, or set DATABASE_URL" in refused.stderr


def test_closing_its_terminal_stops_it(directory: Path) -> None:
    """Though no signal comes: where `make` is the first process in the terminal, it keeps the hang-up to itself."""
    screen, terminal = os.openpty()
    with Up(directory, {"WORKERS": "1"}, stdin=terminal) as up:
        os.close(terminal)
        up.wait_until_ready()
        os.close(screen)
        assert up.wait() == 0
    assert processes_of(directory) == {}


def test_a_stop_during_the_start_leaves_no_process(directory: Path) -> None:
    with Up(directory) as up:
        until(lambda: "Starting" in up.output, seconds=60, what="the start begins")
        assert up.stop(signal.SIGINT) == 0
    assert processes_of(directory) == {}


def test_after_kill_9_the_next_start_works_and_leaves_no_process(directory: Path) -> None:
    with running(directory, WORKERS="1") as first:
        with psycopg.connect(first.state.database_url) as connection:
            connection.execute("CREATE TABLE kept ()")
        left = first.state.parts
        first.kill()
    with running(directory, WORKERS="1") as second:
        assert not any(part.is_alive() for part in left.values())
        with psycopg.connect(second.state.database_url) as connection:
            connection.execute("SELECT FROM kept")


def test_kill_9_of_everything_at_once_is_survived(directory: Path) -> None:
    """As when a machine loses its power; the pid in a server's lock file may be anybody's afterwards."""
    with running(directory, WORKERS="1") as first:
        for pid in processes_of(directory):
            os.kill(pid, signal.SIGKILL)
        first.wait()
    until(lambda: not processes_of(directory), seconds=10, what="all are gone")
    lock = directory / "postgres" / "postmaster.pid"
    # This test's own pid: alive, not PostgreSQL, and nobody's to kill.
    lock.write_text("\n".join([str(os.getpid()), *lock.read_text().splitlines()[1:]]) + "\n")
    with running(directory, WORKERS="1") as second:
        assert serves(second)


def test_servers_that_are_given_by_url_are_not_started(
    directory: Path, migrated_database: str, broker_url: str
) -> None:
    with running(directory, WORKERS="1", DATABASE_URL=migrated_database, BROKER_URL=broker_url) as up:
        assert set(up.state.parts) == {"web", "worker w1@up", "beat"}
        assert up.manage("migrate", "--check").returncode == 0
    assert not (directory / "postgres").exists()


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0,
    reason="only root on Linux has to change its user",
)
def test_root_without_user_namespaces_uses_a_plain_user_even_in_a_closed_directory(directory: Path) -> None:
    """As in a default container: unshare is forbidden, and root's home is closed to the server's user."""
    directory.parent.chmod(0o700)
    forbid = str(Path(__file__).parent.parent / "support" / "without_namespaces.py")
    for _ in range(2):
        with running(directory, before=(sys.executable, forbid), WORKERS="1") as up:
            assert serves(up)
            assert (directory / "postgres").stat().st_uid != 0
    # Allowed again: the cluster stays with its owner.
    with running(directory, WORKERS="1") as up:
        assert serves(up)
