"""A key's limit is one limit, however many threads call and however many web processes answer."""

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import Api, engagement
from tests.support.databases import Databases
from tests.support.web import make_key, web_process

THREADS = 20

REFUSED_AGAIN = 10
"""How often each thread goes on asking after its first refusal, so that the others are still hurried."""

PER_SECOND = 0.001
"""So slow that nothing is refilled during the test: what passes is the burst, exactly."""

BURST = 100


@pytest.mark.parametrize("what", ["requests", "engagements"])
def test_twenty_threads_at_two_processes_never_exceed_the_limit_of_their_key(
    databases: Databases, broker_url: str, what: str
) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": databases.migrated(),
        "BROKER_URL": broker_url,
        f"RATE_LIMIT_{what.upper()}_PER_SECOND": str(PER_SECOND),
        f"RATE_LIMIT_{what.upper()}_BURST": str(BURST),
    }
    key = make_key(environment, "hasty", "producer")
    answers: Counter[int] = Counter()
    lock, begun = threading.Lock(), threading.Barrier(THREADS)

    def hurry(number: int) -> None:
        """Ask until one alone is refused: then nothing is left, and nothing comes back, however slow the machine is."""
        api = Api(f"http://127.0.0.1:{ports[number % 2]}", key)
        weight = 1 + number % 3 if what == "engagements" else 1
        more = REFUSED_AGAIN
        begun.wait()
        while more:
            if what == "requests":
                status = api.call("GET", "/channels/").status
            else:
                items = [engagement(f"user-{number}") for _ in range(weight)]
                status = api.call("POST", "/engagements/bulk/", {"engagements": items}).status
            with lock:
                answers[status] += weight
            if status != 200 and weight > 1:
                weight = 1
            elif status != 200:
                more -= 1

    with web_process(environment) as one, web_process(environment) as two:
        ports = (one, two)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(hurry, range(THREADS)))
    assert set(answers) == {200, 429}
    assert answers[200] == BURST
