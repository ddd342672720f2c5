"""Logging in: guessing is slow, for one address as for many; sessions end, and their cookies are closed to scripts."""

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from engagements.admin import login
from engagements.models import RateBucket
from engagements.store.rate import Rate

pytestmark = pytest.mark.django_db

PASSWORD = "of this test only"
PAGE = "/admin/login/"


SLOWER = 1000
"""So that nothing comes back while a test runs, on whatever machine."""


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for name in ("ONE_NAME_FROM_ONE_ADDRESS", "ONE_ADDRESS", "ONE_NAME"):
        limit = getattr(login, name)
        monkeypatch.setattr(login, name, Rate(limit.per_second / SLOWER, limit.burst))


@pytest.fixture(autouse=True)
def boss(limits: None) -> User:
    return User.objects.create_superuser("boss", password=PASSWORD)


def tries(password: str, *, name: str = "boss", address: str = "192.0.2.1", times: int = 1) -> str:
    """What the last of so many tries is told; "in" when it succeeds."""
    for _ in range(times):
        response = Client(REMOTE_ADDR=address).post(PAGE, {"username": name, "password": password})
    if response.status_code == 302:
        return "in"
    return " ".join(response.context["form"].non_field_errors())


def let_pass(seconds: float) -> None:
    """As if so much time had passed for every bucket."""
    RateBucket.objects.update(full_at=F("full_at") - timedelta(seconds=seconds))


def test_after_five_failures_even_the_right_password_waits() -> None:
    assert "correct username" in tries("wrong", times=5)
    assert re.fullmatch(r"Too many tries have failed. Try again in (30000|29\d\d\d) s.", tries(PASSWORD))
    assert tries(PASSWORD, address="192.0.2.2") == "in"
    let_pass(30 * SLOWER)
    assert tries(PASSWORD) == "in"


def test_logins_that_succeed_are_not_counted() -> None:
    assert tries(PASSWORD, times=12) == "in"
    assert not RateBucket.objects.filter(full_at__gt=Now() + timedelta(seconds=1)).exists()


def test_one_password_on_many_names_is_stopped_by_address() -> None:
    for number in range(login.ONE_ADDRESS.burst):
        assert "correct username" in tries("wrong", name=f"name-{number}")
    assert "Too many" in tries("wrong", name="another")
    assert tries(PASSWORD, address="192.0.2.2") == "in"


def test_one_name_from_many_addresses_is_stopped_by_name_in_any_spelling() -> None:
    spellings = ("boss", "BOSS", "\uff42oss")
    for number in range(login.ONE_NAME.burst):
        assert "correct username" in tries("wrong", name=spellings[number % 3], address=f"198.51.100.{number}")
    assert "Too many" in tries(PASSWORD, address="198.51.100.200")


def test_no_single_address_locks_a_person_out() -> None:
    tries("wrong", times=100)
    assert tries(PASSWORD, address="192.0.2.2") == "in"


def test_a_refused_login_costs_no_password_hash_and_its_log_tells_no_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries("wrong", name="my password", times=5)
    hashed: list[str] = []
    monkeypatch.setattr(User, "check_password", lambda self, raw: hashed.append(raw))
    monkeypatch.setattr(User, "set_password", lambda self, raw: hashed.append(raw))
    monitored = logging.getLogger("engagements")
    monitored.addHandler(caplog.handler)
    try:
        assert "Too many" in tries("wrong", name="my password")
    finally:
        monitored.removeHandler(caplog.handler)
    assert hashed == []
    assert "192.0.2.1" in caplog.text
    assert "my password" not in caplog.text


@pytest.mark.parametrize("name", ["a\0b", "x" * 10_000, "\ud800", "", " "])
def test_odd_names_are_refused(name: str) -> None:
    try:
        data = {"username": name, "password": "x"}
        response = Client().post(PAGE, data)
    except UnicodeEncodeError:
        response = Client().post(
            PAGE, b"username=%ED%A0%80&password=x", content_type="application/x-www-form-urlencoded"
        )
    assert response.status_code == 200
    assert "_auth_user_id" not in response.client.session


def cookies(settings: Any, *, https: bool) -> Any:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = https
    client = Client()
    client.get(PAGE)
    client.post(PAGE, {"username": "boss", "password": PASSWORD})
    return client.cookies


def test_cookies_are_closed_to_scripts_and_other_sites_and_a_session_ends(settings: Any) -> None:
    for https in (False, True):
        sent = cookies(settings, https=https)
        for name in ("sessionid", "csrftoken"):
            assert sent[name]["httponly"] is True
            assert sent[name]["samesite"] == "Lax"
            assert bool(sent[name]["secure"]) is https
            assert sent[name]["domain"] == ""
        assert sent["sessionid"]["max-age"] == 12 * 3600


def test_a_session_gets_a_new_key_by_the_login_and_is_gone_after_the_logout() -> None:
    client = Client()
    session = client.session
    session["x"] = 1
    session.save()
    before = session.session_key
    client.post(PAGE, {"username": "boss", "password": PASSWORD})
    after = client.session.session_key
    assert after != before
    assert client.get("/admin/").status_code == 200
    client.post("/admin/logout/")
    stolen = Client()
    stolen.cookies["sessionid"] = str(after)
    assert stolen.get("/admin/").status_code == 302


def test_a_changed_password_ends_all_sessions(boss: User) -> None:
    client = Client()
    client.post(PAGE, {"username": "boss", "password": PASSWORD})
    boss.set_password("another one of this test")
    boss.save()
    assert client.get("/admin/").status_code == 302


def test_where_to_go_after_the_login_stays_on_this_site() -> None:
    for target in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        response = Client().post(f"{PAGE}?next={target}", {"username": "boss", "password": PASSWORD, "next": target})
        assert response.headers["Location"].startswith("/")
        assert not response.headers["Location"].startswith("//")
