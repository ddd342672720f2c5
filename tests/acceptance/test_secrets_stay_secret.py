"""No key, password or secret is in a log, on a page, in a metric, in the audit or in an error, whatever goes wrong."""

import base64
import http.client
import json
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.support.receiver import Receiver
from tests.support.system import System, Systems
from tests.support.up import until

WORKER = "w1@secrets"
ADMIN_PASSWORD = "of these tests"  # what System.admin() sets
SECONDS = 60
PAGES = [
    *(
        "",
        "engagements/engagement/",
        "engagements/pipeline/",
        "engagements/channel/",
        "engagements/channel/hook/change/",
    ),
    *("engagements/auditentry/", "engagements/worker/", "auth/user/", "engagements/channel/export/"),
    *("engagements/auditentry/export/", "engagements/engagement/export/"),
]


@dataclass
class Known:
    """secrets: name → value. shown: place → what was said there, beside the logs."""

    secrets: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)

    def found(self, places: dict[str, str]) -> list[str]:
        """Secret and place, for each that got out; also where it was base64-encoded."""
        found = []
        for name, value in self.secrets.items():
            assert len(value) >= 12, name
            spellings = {value, value.removeprefix("whsec_"), base64.b64encode(value.encode()).decode().rstrip("=")}
            found += [f"{name} in {place}" for place, text in places.items() if any(one in text for one in spellings)]
        return found


def ask(
    system: System, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> str:
    """Everything that is answered, whatever the status."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=30)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    text = f"{response.headers}{response.read().decode(errors='replace')}"
    connection.close()
    return text


@pytest.fixture(scope="module")
def known(systems: Systems) -> tuple[System, Known]:
    """A system after much has gone well and wrong, and stopped."""
    valkey = systems.valkey()
    postgres = systems.postgres()
    key_of_all = secrets.token_urlsafe(64)
    system = systems.new(database_url=postgres.url(), broker_url=valkey.url, SECRET_KEY=key_of_all, LOG_LEVEL="DEBUG")
    known = Known()
    known.secrets |= {
        "SECRET_KEY": key_of_all,
        "the database's password": str(urlsplit(postgres.url()).password),
        "the broker's password": str(urlsplit(valkey.url).password),
        "an admin's password": ADMIN_PASSWORD,
        "a password typed as a name": "hunter2-" + secrets.token_urlsafe(9),
        "a key that is wrong": secrets.token_hex(32),
    }
    system.directory.mkdir(parents=True, exist_ok=True)
    system.manage("migrate", "--verbosity", "0")
    system.start(WORKER, beat=True)
    key = system.api.headers["Authorization"].removeprefix("Bearer ")
    known.secrets["an operator's key"] = key
    bearer = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with Receiver() as receiver:
        known.secrets["a webhook's secret"] = system.api.create_channel("hook", "webhook", receiver.url())
        known.secrets["its next secret"] = system.api.ask("POST", "/channels/hook/rotate-secret/")["secret"]
        id = system.api.post("ann", channel="hook")["id"]
        until(lambda: system.api.status(id) == "delivered", seconds=SECONDS, what="a webhook is delivered")
        for number, request in enumerate(receiver.requests):
            for one in request.headers["webhook-signature"].split():
                known.secrets[f"signature {number} {one[-6:]}"] = one.removeprefix("v1,")
    lost = system.api.post("bob", channel="hook", timeout_seconds=2)["id"]  # nobody listens there any more

    admin = system.admin()
    cookies = {cookie.name: str(cookie.value) for cookie in admin.cookies}
    known.secrets |= {"a session": cookies["sessionid"], "a CSRF token": cookies["csrftoken"]}
    for page in PAGES:
        known.shown[page] = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", admin.open(f"/admin/{page}"))
    typed, wrong = known.secrets["a password typed as a name"], known.secrets["a key that is wrong"]
    for attempt in range(7):
        form = f"username={typed}&password={ADMIN_PASSWORD.replace(' ', '+')}".encode()
        login = {"Cookie": "csrftoken=" + "x" * 32, "Content-Type": "application/x-www-form-urlencoded"}
        answer = ask(system, "POST", "/admin/login/", login, form + b"&csrfmiddlewaretoken=" + b"x" * 32)
        known.shown[f"login {attempt}"] = answer.replace(f'value="{typed}"', "")
    bodies = [b"{", b"\xff", b"[" * 10_000, json.dumps({"user_id": "a", "payload": {}, key[:8]: 1}).encode()]
    for number, body in enumerate(bodies):
        known.shown[f"bad body {number}"] = ask(system, "POST", "/api/v1/engagements/", bearer, body)
    for value in (f"Bearer {wrong}", f"Basic {base64.b64encode(wrong.encode()).decode()}", f"Bearer {wrong} x", wrong):
        known.shown[f"wrong key {value[:9]}"] = ask(system, "GET", "/api/v1/channels/", {"Authorization": value})
    again = json.dumps({"name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/"}).encode()
    known.shown["a taken name"] = ask(system, "POST", "/api/v1/channels/", bearer, again)
    for path in ("/metrics", "/readyz", "/api/v1/channels/", "/api/v1/engagements/", "/api/v1/queues/", "/nowhere"):
        known.shown[path] = ask(system, "GET", path, bearer)
    until(lambda: system.api.status(lost) == "expired", seconds=SECONDS, what="the lost one expires")
    known.shown["what was lost"] = ask(system, "GET", f"/api/v1/engagements/{lost}/", bearer)

    valkey.part.stop()
    system.api.post("cleo")
    until(lambda: "wake-up not published" in system.log("web"), seconds=SECONDS, what="web complains of the broker")
    known.shown["ready without broker"] = ask(system, "GET", "/readyz")
    known.shown["queues without broker"] = ask(system, "GET", "/api/v1/queues/", bearer)
    name = "worker with a wrong password"
    wrong_url = postgres.url().replace(":of-this-test@", ":wrong-of-this-test@")
    system.environment = {**system.environment, "DATABASE_URL": wrong_url}
    system.start_worker("w2@secrets", part=name, wait=False)
    until(lambda: "authentication failed" in system.log(name), seconds=SECONDS, what="it complains of its password")
    system.parts[name].kill()
    postgres.part.stop()
    for path in ("/readyz", "/metrics", "/api/v1/channels/", "/admin/"):
        known.shown[f"{path} without database"] = ask(system, "GET", path, bearer)
    until(
        lambda: "database not reached" in system.log(WORKER) or "waiting for the database" in system.log(WORKER),
        seconds=SECONDS,
        what="and the worker of the database",
    )
    for part in system.parts.values():
        if part.is_running():
            part.kill()
    return system, known


def test_no_secret_is_in_a_log(known: tuple[System, Known]) -> None:
    system, what = known
    logs = {name: system.log(name) for name in system.parts}
    assert "cannot be used" in logs["web"], "the database's absence was complained of"
    assert "wake-up not published" in logs["web"], "and the broker's"
    assert "too many failed lately" in logs["web"]
    assert "database" in logs[WORKER]
    assert "password authentication failed" in logs["worker with a wrong password"]
    assert all(logs.values())
    assert what.found(logs) == []


def test_no_secret_is_in_an_answer_a_metric_or_the_audit(known: tuple[System, Known]) -> None:
    _, what = known
    assert "rotate secret" in what.shown["engagements/auditentry/"]
    assert "engagements_accepted_total" in what.shown["/metrics"]
    assert what.found(what.shown) == []


def test_the_search_finds_what_is_there(known: tuple[System, Known]) -> None:
    _, what = known
    assert len(what.secrets) >= 11
    for name, value in what.secrets.items():
        assert f"{name} in a log" in what.found({"a log": f"x {value} y"})
        assert f"{name} in a log" in what.found({"a log": base64.b64encode(value.encode()).decode()})
