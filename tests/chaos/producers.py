"""Producers: several at once, and each keeps the log that the observer judges by."""

import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from tests.chaos.stage import DIRECT, PROXIED
from tests.support.client import PREFIX, Api
from tests.support.observer import Produced
from tests.support.observer.history import Answer, moment

CALL_SECONDS = 10.0
"""How long a producer waits for an answer; then it is unknown."""

PERSISTENCE_SECONDS = 45.0
"""How long a producer repeats a call whose answer is unknown."""

SECOND = 1_000_000


@dataclass
class Shared:
    """What all producers of a run share. recent: engagements that may become parents; given out under the lock."""

    users: list[str]
    sizes: tuple[int, ...]
    recent: deque[str]
    lock: threading.Lock
    wait: Callable[[], bool]
    """Returns when there is room for more; false when the run is over."""
    calls: int = 0


class Producer(threading.Thread):
    """Sends its share of engagements, in single and bulk calls, and repeats what was not answered."""

    def __init__(self, api: Api, shared: Shared, *, name: str, seed: str, share: int) -> None:
        super().__init__(name=name, daemon=True)
        self.log: dict[str, Produced] = {}
        self.latencies: list[float] = []
        self.error: BaseException | None = None
        self._api = api
        self._shared = shared
        self._random = Random(seed)
        self._left = share
        self._owed: list[tuple[str, str]] = []  # ids named as parents before they were sent, with their users
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        try:
            while self._left > 0 and self._shared.wait():
                size = min(self._left, self._random.choice(self._shared.sizes))
                self._left -= size
                self._send(self._draw(size))
            if self._owed and self._shared.wait():
                self._send([self._plain(id, user) for id, user in self._owed])
        except BaseException as error:  # noqa: BLE001 - told by whoever waits for this thread
            self.error = error
        finally:
            self._disconnect()

    # --- What is sent ---

    def _draw(self, size: int) -> list[dict[str, Any]]:
        drawn: list[dict[str, Any]] = []
        while self._owed and len(drawn) < size and self._random.random() < 0.7:
            drawn.append(self._plain(*self._owed.pop(0)))
        while len(drawn) < size:
            drawn.append(self._one())
        self._random.shuffle(drawn)
        return drawn

    def _plain(self, id: str, user: str) -> dict[str, Any]:
        return {"id": id, "user_id": user, "payload": {}, "channel": DIRECT}

    def _one(self) -> dict[str, Any]:
        random, users = self._random, self._shared.users
        user = users[0] if random.random() < 0.02 else random.choice(users)
        one = self._plain(self._new_id(), user)
        if random.random() < 0.1:
            one["channel"] = PROXIED
        kind = random.random()
        if kind < 0.4:
            one["produced_at"] = self._stated()
        if random.random() < 0.04:
            one["unordered"] = True
        elif random.random() < 0.1:
            one["causal_parent"] = self._parent()
        if random.random() < 0.03:
            one["timeout_seconds"] = random.choice([2, 3, 5])
        if random.random() < 0.002:
            one["channel"] = "no-such-channel"
        return one

    def _new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _stated(self) -> str:
        """Mostly of just now and so crossed over, some late, a few ahead; ties, because few have a fraction."""
        lag = self._random.choice([0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 2.0, -1.0])
        time = datetime.now(UTC) - timedelta(seconds=lag)
        return time.replace(microsecond=time.microsecond // 10_000 * 10_000).isoformat()

    def _parent(self) -> str:
        """A recent one of any producer, or one that this producer will send later."""
        with self._shared.lock:
            if self._shared.recent and self._random.random() < 0.7:
                return self._random.choice(self._shared.recent)
        id = self._new_id()
        self._owed.append((id, self._random.choice(self._shared.users)))
        return id

    # --- How it is sent ---

    def _send(self, batch: list[dict[str, Any]]) -> None:
        with self._shared.lock:
            self._shared.calls += 1
            call = self._shared.calls
        for place, one in enumerate(batch):
            stated = one.get("produced_at")
            self.log[one["id"]] = Produced(
                one["id"], one["user_id"], "unknown", _now(), _now(),
                stated=None if stated is None else moment(stated),
                causal_parent=one.get("causal_parent"), unordered=one.get("unordered", False),
                timeout_seconds=one.get("timeout_seconds"), call=call, place=place,
            )  # fmt: skip
        give_up = time.monotonic() + PERSISTENCE_SECONDS
        while not self._call(batch) and time.monotonic() < give_up:
            time.sleep(self._random.uniform(0.1, 0.5))
        if self._random.random() < 0.02:
            self._call(batch)  # nobody has asked for it; nothing may change
        parents = [one["id"] for one in batch if self.log[one["id"]].answer != "refused"]
        with self._shared.lock:
            self._shared.recent.extend(self._random.sample(parents, min(5, len(parents))))

    def _call(self, batch: list[dict[str, Any]]) -> bool:
        """Whether it was answered; what it was answered is in the log."""
        asked = time.monotonic()
        single = len(batch) == 1
        try:
            status, body = self._post("/engagements/" if single else "/engagements/bulk/", batch)
        except (OSError, http.client.HTTPException, ValueError):
            self._disconnect()
            self._note(batch, ["unknown"] * len(batch))
            return False
        if status >= 500:
            self._note(batch, ["unknown"] * len(batch))
            return False
        self.latencies.append(time.monotonic() - asked)
        if single:
            self._note(batch, ["acknowledged" if status < 300 else "refused"])
        elif status < 300:
            self._note(batch, ["refused" if one["status"] == "refused" else "acknowledged" for one in body["results"]])
        else:
            raise AssertionError(f"a bulk call was answered {status}: {str(body)[:300]}")
        return True

    def _note(self, batch: list[dict[str, Any]], answers: list[Answer]) -> None:
        """Acknowledged stays so; refused can only be told of what was not stored before."""
        answered = _now()
        for one, answer in zip(batch, answers, strict=True):
            before = self.log[one["id"]]
            best = before.answer if answer == "unknown" or before.answer == "acknowledged" else answer
            self.log[one["id"]] = replace(before, answer=best, answered_at=answered)

    def _post(self, path: str, batch: list[dict[str, Any]]) -> tuple[int, Any]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._api.port, timeout=CALL_SECONDS)
        body = batch[0] if path == "/engagements/" else {"engagements": batch}
        self._connection.request("POST", PREFIX + path, json.dumps(body), self._api.headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _now() -> int:
    return round(time.time() * SECOND)
