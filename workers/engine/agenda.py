"""Users whom the engine will look at: now, or at their time. What is lost here is found by the poll."""

import asyncio

BUSY_SECONDS = 0.01
"""Until a user whose row was locked by somebody is tried again."""

BUSY_LONGEST_SECONDS = 0.5
"""A caller's open transaction may hold the row for long; the pause doubles up to this."""

CROWDED_SECONDS = 0.08
"""A row that was locked at every look until the pause is this long is worth waiting for."""

TIMER_SLACK_SECONDS = 0.001
"""A timer that fires before PostgreSQL's clock agrees would find nothing due and cost a second look."""


class Agenda:
    """First come, first served; a user is in it once."""

    def __init__(self) -> None:
        self.users: dict[str, None] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pauses: dict[str, float] = {}
        self._has_users = asyncio.Event()
        self._closed = False

    async def wait(self) -> None:
        """Return when there is somebody to look at."""
        await self._has_users.wait()

    def add(self, user: str) -> None:
        """Look at this user as soon as possible."""
        if self._closed:
            return
        timer = self._timers.pop(user, None)
        if timer is not None:
            timer.cancel()
        self.users[user] = None
        self._has_users.set()

    def drop(self, user: str) -> None:
        """Somebody looks at this user already."""
        timer = self._timers.pop(user, None)
        if timer is not None:
            timer.cancel()
        self.users.pop(user, None)
        if not self.users:
            self._has_users.clear()

    def add_later(self, user: str, seconds: float) -> None:
        """Look at this user when something can happen."""
        if seconds <= 0:
            self.add(user)
            return
        timer = self._timers.get(user)
        if timer is not None:
            timer.cancel()
        self._timers[user] = asyncio.get_running_loop().call_later(seconds + TIMER_SLACK_SECONDS, self.add, user)

    def add_busy(self, user: str) -> None:
        """Try this user again after a pause that grows."""
        pause = self._pauses.get(user, BUSY_SECONDS)
        self._pauses[user] = min(pause * 2, BUSY_LONGEST_SECONDS)
        self.add_later(user, pause)

    def is_crowded(self, user: str) -> bool:
        """Whether this user's row has been found locked several times in a row."""
        return self._pauses.get(user, 0.0) >= CROWDED_SECONDS

    def not_busy(self, user: str) -> None:
        """The next pause of this user is a short one again."""
        self._pauses.pop(user, None)

    def take(self, number: int) -> list[str]:
        """The next `number` users at most."""
        users: list[str] = []
        while self.users and len(users) < number:
            user = next(iter(self.users))
            del self.users[user]
            users.append(user)
        if not self.users:
            self._has_users.clear()
        return users

    def close(self) -> None:
        """Forget everybody, and take no more."""
        self._closed = True
        self.users.clear()
        self._has_users.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
