"""Stores a backlog in the database of DATABASE_URL by the services that the API calls; the argument is a spec.

With `prepare`, it makes what a backlog needs instead, and prints the key of an operator. `spread`: the distance between
two users' numbers.

A process of its own, so that the runner needs no Django. Prints one line of JSON: engagements stored per second.
"""

import io
import json
import sys
import time
import uuid
from typing import Any

import django

from benchmarks.peers.work import items

TIMEOUT_SECONDS = 3600
"""Nothing may expire while it waits for its turn: the longest that there is."""

SLOW_SECONDS = 0.5

CLOSED = "http://127.0.0.1:9/"
"""Nobody listens there."""


def engagements(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """As the API takes them, in the order produced; each one's number in it is in the payload as `index`."""
    chain = int(spec.get("chain", 1))
    ids = [str(uuid.uuid4()) for _ in range(spec["count"])] if chain > 1 else []
    made = []
    for index, (user, n) in enumerate(items(spec)):
        payload: dict[str, Any] = {"index": index, "n": n, "text": "hello"}
        user = f"user-{int(user.removeprefix('user-')) * spec.get('spread', 1)}"
        channel = {"null": "null", "sleep": "sleep", "http": "receiver"}[spec["work"]]
        if spec["work"] == "sleep":
            payload["receiver"] = {"seconds": spec["ms"] / 1000}
        if spec.get("slow") and user == "user-0":
            channel, payload["receiver"] = "sleep", {"seconds": SLOW_SECONDS}
        one = {"user_id": user, "payload": payload, "channel": channel, "timeout_seconds": TIMEOUT_SECONDS}
        if spec.get("unordered"):
            one["unordered"] = True
        if chain > 1:
            one["id"] = ids[index]
            if index % chain:
                one["causal_parent"] = ids[index - 1]
        made.append(one)
    return made


def prepare(receiver: str) -> str:
    """The channels that the measures name, and an operator's key for the API."""
    from django.core.management import call_command

    from engagements.channels import create

    create("null", "null", actor="bench")
    create("sleep", "demo", actor="bench")  # for as long as a payload says
    create("receiver", "webhook", receiver, actor="bench")
    create("twin", "webhook", receiver, actor="bench")
    create("down", "webhook", CLOSED, actor="bench")
    said = io.StringIO()
    call_command("create_api_key", "bench", "--role", "operator", stdout=said)
    return said.getvalue().strip()


def main(spec: dict[str, Any]) -> None:
    django.setup()
    from django.db import connection

    from engagements.services import BULK_LIMIT, produce_bulk

    if spec.get("prepare"):
        print(json.dumps({"key": prepare(spec["receiver"])}))
        return
    made = engagements(spec)
    began = time.perf_counter()
    for start in range(0, len(made), BULK_LIMIT):
        refused = [item for item in produce_bulk(made[start : start + BULK_LIMIT]) if item.status != "created"]
        assert not refused, refused[0]
    seconds = time.perf_counter() - began
    connection.cursor().execute("VACUUM ANALYZE engagements_engagement, engagements_pipeline")
    print(json.dumps({"rate": len(made) / seconds}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
