"""A wall clock that is wrong by some seconds, in this process alone; the monotonic clock stays as it is."""

import datetime as dt
import time
from typing import Any

Real = dt.datetime


def shift(seconds: float) -> None:
    """From now on `time` and `datetime` tell a time that is so many seconds ahead."""
    ahead = dt.timedelta(seconds=seconds)
    real_time, real_time_ns, real_localtime, real_gmtime = time.time, time.time_ns, time.localtime, time.gmtime

    class _Like(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, Real)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, Real)

    class Shifted(Real, metaclass=_Like):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return Real.now(tz) + ahead

        @classmethod
        def utcnow(cls) -> Any:
            return Real.now(dt.UTC).replace(tzinfo=None) + ahead

    dt.datetime = Shifted  # type: ignore[misc]
    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + round(seconds * 1e9)
    time.localtime = lambda moment=None: real_localtime(time.time() if moment is None else moment)
    time.gmtime = lambda moment=None: real_gmtime(time.time() if moment is None else moment)
