"""`manage.py demo`: what a newcomer sees, against a real `up`."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import CHECKOUT
from tests.support.up import Up, clean_environment, until


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("demo") / "data", {"WORKERS": "2"})
    try:
        yield started.wait_until_ready()
    finally:
        started.stop()


@pytest.fixture(scope="module")
def shown(up: Up) -> str:
    """The output of one whole demo, read from a pipe."""
    demo = up.manage("demo", "--pause", "0")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    return demo.stdout


def deliveries(shown: str, user: str) -> list[str]:
    """The texts delivered to a user, in the order shown."""
    return re.findall(rf"✓ delivered  {user} +(.+?)(?:  |$)", shown, re.MULTILINE)


def test_what_crossed_on_the_way_is_shown_in_the_order_it_happened_and_what_came_too_late_next(shown: str) -> None:
    assert deliveries(shown, "ada") == ["paid", "packed", "at the door", "put into the basket"]
    assert re.search(r"put into the basket +sequence 4, late", shown)


def test_a_causal_chain_across_two_users_is_shown_from_its_cause(shown: str) -> None:
    chain = re.findall(r"✓ delivered  (?:cleo|dan) +(?:Cleo|Dan): (.+?)  ", shown)
    assert chain == ["Dinner?", "At nine?", "see you there!"]


def test_a_slow_user_is_overtaken_by_everybody_but_themselves(shown: str) -> None:
    assert deliveries(shown, "sam")[-2:] == ["first slow one", "second slow one"]
    assert set(deliveries(shown, "sam")[:2]) == {"banner: sale!", "banner: last day!"}
    assert shown.index("delivered  tom   quick three") < shown.index("delivered  sam   first slow one")


def test_a_retry_is_shown_in_place_and_an_expiry_at_its_deadline(shown: str) -> None:
    assert len(re.findall(r"↻ refused    rita +your code is 4711", shown)) == 2
    assert deliveries(shown, "rita") == ["your code is 4711", "code accepted", "welcome back"]
    assert re.search(r"2\.\d{3}  ✗ expired    eve +your taxi is here", shown)
    assert deliveries(shown, "eve") == ["your taxi has left"]


def test_while_the_chain_waits_the_pipelines_say_why(shown: str) -> None:
    unwrapped = re.sub(r"\s+", " ", shown)
    assert re.search(r"cleo waits for its parent \w+… of user demo-\w+\.dan, which is first in line", unwrapped)
    assert re.search(r"dan waits for its parent \w+…, which has not arrived", unwrapped)


def test_it_ends_with_a_verdict_on_every_user(shown: str) -> None:
    verdict = shown[shown.index("Verdict") :]
    assert re.findall(r"^   (\w+) .* (yes|NO)$", verdict, re.MULTILINE) == [
        (user, "yes") for user in ("ada", "cleo", "dan", "sam", "tom", "rita", "eve")
    ]


def test_a_pipe_gets_plain_lines_of_80_columns_at_most(shown: str) -> None:
    assert "\x1b" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_it_can_be_repeated_with_users_that_are_new_each_time(up: Up, shown: str) -> None:
    again = up.manage("demo", "--pause", "0")
    assert again.returncode == 0, again.stdout + again.stderr
    prefix = re.compile(r"begin with '(demo-\w+\.)")
    assert prefix.findall(again.stdout) != prefix.findall(shown)


def test_plain_ascii_is_enough(up: Up) -> None:
    with started(up, PYTHONIOENCODING="ascii") as demo:
        output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "+ delivered  ada   paid" in output


def test_ctrl_c_ends_it_without_a_traceback(up: Up) -> None:
    with started(up) as demo:
        until(lambda: "Crossed" in next(demo.stdout or iter([])), seconds=30, what="the first scene")
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=10)
    assert demo.returncode == 130
    assert "Stopped." in errors
    assert "Traceback" not in errors


def test_a_reader_who_leaves_ends_it_without_a_traceback(up: Up) -> None:
    with started(up) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.readline()
        demo.stdout.close()
        assert demo.stderr.read() == ""


def test_with_nothing_running_it_says_what_to_do(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "manage.py", "demo"],
        cwd=CHECKOUT,
        env={**clean_environment(), "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "run `make up`" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_a_worker_it_says_what_to_do(migrated_database: str, tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "manage.py", "demo"],
        cwd=CHECKOUT,
        env={**clean_environment(), "DATA_DIR": str(tmp_path), "DATABASE_URL": migrated_database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "No delivery worker is alive" in refused.stderr


def started(up: Up, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "manage.py", "demo", "--pause", "0"],
        cwd=CHECKOUT,
        env={**clean_environment(), "DATA_DIR": str(up.directory), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
