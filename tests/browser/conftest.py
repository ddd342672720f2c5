"""What the browser tests share: one whole system for all of them, a browser for each module, a watch for each test."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import PATIENCE_MS, People, Site, Watch, chromium, running_browser
from tests.support.receiver import Receiver

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    chromium()
    started = Site(tmp_path_factory.mktemp("browser") / "data")
    try:
        started.start()
        yield started
    finally:
        started.up.stop()


@pytest.fixture(scope="session")
def receiver(site: Site) -> Iterator[Receiver]:
    """Where the channel `hook` delivers to."""
    with Receiver() as receiver:
        site.api.create_channel("hook", "webhook", receiver.url())
        yield receiver


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the session: Playwright's event loop runs in this thread, and others' tests use Django in it."""
    with running_browser() as browser:
        yield browser


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def people(browser: Browser, site: Site, watch: Watch) -> Iterator[People]:
    """Who looks at the console; the test fails if anything went wrong on a page that they saw."""
    people = People(browser, site, watch)
    yield people
    people.leave()
    assert watch.problems == []


_numbers = count(1)


@pytest.fixture
def name() -> Callable[[str], str]:
    """A user id that no other test has."""
    return lambda word: f"{word}-{next(_numbers)}"
