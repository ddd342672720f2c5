"""A key that was taken away, has expired, or lost its role is refused by every web process, whatever each remembers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from engagements.api.authentication import CACHE_SECONDS
from tests.support.client import Api
from tests.support.databases import CHECKOUT, Databases
from tests.support.web import make_key, web_process

GRACE_SECONDS = 0.5
"""Between reading a key and remembering it a thread may stand still for a moment."""


@pytest.fixture(scope="module")
def environment(databases: Databases, broker_url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": databases.migrated(), "BROKER_URL": broker_url}


@pytest.fixture(scope="module")
def urls(environment: dict[str, str]) -> Iterator[list[str]]:
    with web_process(environment) as one, web_process(environment) as two:
        yield [f"http://127.0.0.1:{port}" for port in (one, two)]


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True).stdout


def allowed_for(urls: list[str], key: str, what: tuple[str, str, object], refusal: int) -> float:
    """Call both processes until both refuse; when the last call that was allowed had been sent (time.monotonic())."""
    last, refused = 0.0, set[str]()
    give_up = time.monotonic() + 30
    while len(refused) < len(urls):
        assert time.monotonic() < give_up, "a process goes on taking the key"
        for url in urls:
            sent = time.monotonic()
            status = Api(url, key).call(*what).status
            if status == refusal:
                refused.add(url)
            else:
                last, refused = sent, set()
    return last


LOOK = ("GET", "/channels/", None)
PRODUCE = ("POST", "/engagements/", {"user_id": "a", "payload": {}})


def test_a_revoked_key_is_refused_within_what_a_process_remembers(environment: dict[str, str], urls: list[str]) -> None:
    key = make_key(environment, "revoked", "viewer")
    assert {Api(url, key).call(*LOOK).status for url in urls} == {200}
    manage(environment, "revoke_api_keys", "revoked")
    revoked = time.monotonic()
    assert allowed_for(urls, key, LOOK, 401) - revoked < CACHE_SECONDS + GRACE_SECONDS


def test_a_lost_role_is_lost_as_fast(environment: dict[str, str], urls: list[str]) -> None:
    key = make_key(environment, "demoted", "producer")
    assert {Api(url, key).call(*PRODUCE).status for url in urls} == {201}
    code = "from django.contrib.auth.models import User; User.objects.get(username='demoted').groups.clear()"
    manage(environment, "shell", "--no-imports", "-c", code)
    demoted = time.monotonic()
    assert allowed_for(urls, key, PRODUCE, 403) - demoted < CACHE_SECONDS + GRACE_SECONDS


def test_an_expiry_holds_to_the_moment_though_the_key_is_remembered(
    environment: dict[str, str], urls: list[str]
) -> None:
    days = str(4 / 86_400)
    made = time.monotonic()
    key = manage(environment, "create_api_key", "short", "--role", "viewer", "--days", days).strip()
    printed = time.monotonic()
    last = allowed_for(urls, key, LOOK, 401)
    assert last < printed + 4
    assert time.monotonic() > made + 4
