"""What `up` keeps in DATA_DIR: secrets, ports, logs, and the note about what runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deliveryproject.local.data_dir import DataDir, DataDirInUse
from deliveryproject.local.identity import Identity, identify
from deliveryproject.local.leftovers import end_leftovers
from deliveryproject.local.logs import keep_bounded
from deliveryproject.local.state import State, running


def state_of(supervisor: Identity, **parts: Identity) -> State:
    return State(supervisor=supervisor, database_url="d", broker_url="b", web_url="w", parts=parts)


def this_process() -> Identity:
    found = identify(os.getpid())
    assert found is not None
    return found


def test_a_secret_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    first = DataDir(tmp_path / "data").secret("key", characters=64)
    assert len(first) >= 64
    assert DataDir(tmp_path / "data").secret("key") == first
    assert (tmp_path / "data" / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_port_stays_the_same_while_it_is_free(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    assert data.port("web") == data.port("web")


def test_a_locked_data_directory_refuses_another(tmp_path: Path) -> None:
    DataDir(tmp_path).lock()
    with pytest.raises(DataDirInUse, match=str(os.getpid())):
        DataDir(tmp_path).lock()


def test_the_note_counts_only_while_its_very_process_runs(tmp_path: Path) -> None:
    note = tmp_path / "up.json"
    assert running(note) is None
    state_of(this_process()).write(note)
    found = running(note)
    assert found is not None
    assert found.supervisor == this_process()
    assert note.stat().st_mode & 0o777 == 0o600
    # Same pid, another start: the pid was given to another process since.
    state_of(Identity(os.getpid(), "before")).write(note)
    assert running(note) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"supervisor": [1]}'])
def test_a_damaged_note_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "up.json").write_text(text)
    assert State.read(tmp_path / "up.json") is None


def test_leftovers_end_but_a_reused_pid_is_left_alone() -> None:
    wait_for_ever = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]
    with (
        subprocess.Popen(wait_for_ever, stdout=subprocess.PIPE, text=True) as left,
        subprocess.Popen(wait_for_ever, stdout=subprocess.PIPE, text=True) as stranger,
    ):
        for process in (left, stranger):
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
        identity = identify(left.pid)
        assert identity is not None
        try:
            state = state_of(Identity(1, "gone"), left=identity, stranger=Identity(stranger.pid, "before"))
            assert end_leftovers(state) == ["left"]
            assert left.wait(10) != 0
            assert stranger.poll() is None
        finally:
            left.kill()
            stranger.kill()


def test_a_log_is_cut_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("a", buffering=1) as writer:
        writer.write("old\n" * 100)
        keep_bounded(log, limit_bytes=1000)
        assert log.read_text() == "old\n" * 100
        keep_bounded(log, limit_bytes=100)
        writer.write("new\n")
    assert log.read_text() == "new\n"
    assert (tmp_path / "part.log.1").read_text() == "old\n" * 100
