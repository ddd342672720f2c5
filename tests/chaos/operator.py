"""An operator at work during a run: pauses, purges and replays, and keeps a log of it."""

import http.client
import threading
import time
from collections.abc import Callable
from functools import partial
from random import Random

from tests.support.client import Api
from tests.support.observer import Operation
from tests.support.observer.history import SECOND

PAUSE_SECONDS = 4.0

REPLAYS = 5
"""Of what has expired or failed, at a time."""


class Operator(threading.Thread):
    """Does something every few seconds, to some users only: of those the deadlines are not judged."""

    def __init__(self, api: Api, users: list[str], *, seed: str, running: Callable[[], bool]) -> None:
        super().__init__(name="operator", daemon=True)
        self.log: list[Operation] = []
        self._api = api
        self._users = users
        self._random = Random(seed)
        self._running = running

    def run(self) -> None:
        while self._running():
            user = self._random.choice(self._users)
            done = self._random.choice([self._pause, self._purge, self._replay])
            try:
                done(user)
            except (OSError, http.client.HTTPException, AssertionError):
                time.sleep(1)  # the web server is being harmed
            time.sleep(1)

    def resume_all(self) -> None:
        """Leave nothing paused."""
        for user in {one.user_id for one in self.log if one.kind == "pause"}:
            self._try("resume", partial(self._api.resume, user), user=user)

    def _pause(self, user: str) -> None:
        self._try("pause", lambda: self._api.pause(user), user=user)
        time.sleep(PAUSE_SECONDS)
        self._try("resume", lambda: self._api.resume(user), user=user)

    def _purge(self, user: str) -> None:
        self._try("purge", lambda: self._api.purge(user), user=user)

    def _replay(self, user: str) -> None:
        for status in ("expired", "failed"):
            found = self._api.ask("GET", f"/engagements/?status={status}&page_size=50")["results"]
            for one in self._random.sample(found, min(REPLAYS, len(found))):
                self._try("replay", partial(self._api.replay, one["id"]), id=one["id"], user=one["user_id"])

    def _try(self, kind: str, call: Callable[[], object], *, user: str, id: str = "") -> None:
        """Until it is answered; each try is in the log, since one without an answer may have been done."""
        for _ in range(20):
            sent = round(time.time() * SECOND)
            answered = False
            try:
                call()
                answered = True
            except AssertionError as refused:  # 4xx or 5xx
                if ": 4" in str(refused).split("/", 1)[-1]:
                    return
            except (OSError, http.client.HTTPException):
                pass
            finished = round(time.time() * SECOND)
            if answered or kind != "pause":
                self.log.append(Operation(kind, sent, finished, id=id, user_id=user))  # type: ignore[arg-type]
            else:
                self.log.append(Operation(kind, sent, 2**62, id=id, user_id=user))  # type: ignore[arg-type]
            if answered:
                return
            time.sleep(0.5)
