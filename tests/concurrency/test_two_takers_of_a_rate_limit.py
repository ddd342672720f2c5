"""Two requests of one key take from its rate limit at the same moment."""

from engagements.store import rate
from engagements.store.rate import Rate
from tests.support.store import Connect, in_thread, until_lock_wait

ONE_LEFT = Rate(0.001, 2)


def test_of_two_that_take_the_last_one_only_one_has_it(connect: Connect) -> None:
    """The other waits for the row, and then looks at it as it is and not as it was."""
    first, second, observer = connect(), connect(), connect()
    assert rate.take(first, "a key", 1, ONE_LEFT) == 0.0

    with first.transaction():
        assert rate.take(first, "a key", 1, ONE_LEFT) == 0.0
        other = in_thread(lambda: rate.take(second, "a key", 1, ONE_LEFT))
        until_lock_wait(observer)

    assert other.result(timeout=10) > 900


def test_of_two_that_take_for_the_first_time_each_is_counted(connect: Connect) -> None:
    first, second, observer = connect(), connect(), connect()

    with first.transaction():
        assert rate.take(first, "new key", 2, ONE_LEFT) == 0.0
        other = in_thread(lambda: rate.take(second, "new key", 1, ONE_LEFT))
        until_lock_wait(observer)

    assert other.result(timeout=10) > 900
