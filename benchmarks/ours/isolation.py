"""What the others notice while a tenth of the users is in trouble: latency at a steady rate, with and without it."""

from typing import Any

from benchmarks.ours.backlog import Backlogs
from benchmarks.ours.site import site
from benchmarks.ours.steady import Body, measure
from benchmarks.servers import Servers
from benchmarks.turns import Contender, Figures

USERS = 1000

DEADLINE_SECONDS = 5
"""Of those in trouble: they hang for all of it."""

LONG_SECONDS = 600


def of_two_kinds(others: dict[str, Any], tenth: dict[str, Any]) -> Body:
    """Every tenth user's posts are like `tenth`, all others' like `others`."""

    def body(number: int) -> dict[str, Any]:
        user = number % USERS
        kind = tenth if user % 10 == 0 else others
        return {"user_id": f"user-{user}", **kind, "payload": {"n": number // USERS, **kind.get("payload", {})}}

    return body


def contenders(servers: Servers, backlogs: Backlogs, *, rate: int, seconds: int) -> list[Contender]:
    def run(others: dict[str, Any], tenth: dict[str, Any]) -> Figures:
        tenth = {"timeout_seconds": DEADLINE_SECONDS, **tenth}
        with site(servers, backlogs) as at:
            body = of_two_kinds(others, tenth)
            return measure(servers, at, body, channel=others["channel"], rate=rate, seconds=seconds)

    null, hanging = {"channel": "null"}, {"channel": "sleep", "payload": {"receiver": {"seconds": LONG_SECONDS}}}
    prompt = {"channel": "sleep", "payload": {"receiver": {"seconds": 0}}}
    posts, down = {"channel": "receiver"}, {"channel": "down"}
    return [
        Contender("nobody hangs", lambda: run(null, prompt)),
        Contender("10 % hang", lambda: run(null, hanging)),
        Contender("both endpoints up", lambda: run(posts, {"channel": "twin"})),
        Contender("one endpoint down", lambda: run(posts, down)),
    ]
