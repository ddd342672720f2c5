"""Debian's Chromium, driven by Playwright, in front of a real `up`: people who look at the console.

Every page is watched: an error in the console, a script that throws, a request that fails or a violation of the
Content-Security-Policy fails the test, unless the test says that it is meant.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, StorageState, sync_playwright

from tests.support.client import Api
from tests.support.up import Up

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

PATIENCE_MS = 15_000
"""How long something may take to show: refreshes come every 2 s, and the machine may be busy."""

PASSWORD = "of the browser tests"

_USERS = f"""
from django.contrib.auth.models import Group, User
for role in ("operator", "viewer"):
    user = User.objects.create_user(role, password={PASSWORD!r}, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
"""

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy violation: ${event.effectiveDirective} ${event.blockedURI}`));
"""


def chromium() -> str:
    """Where Chromium is. Without it the tests are skipped, and fail under CI=true."""
    found = os.environ.get("TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    reason = "Chromium is not installed (on Debian: apt install chromium); TEST_CHROMIUM names one elsewhere"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Site:
    """A whole system by `up`, and who may log in to it: admin, operator, viewer, all with the same password."""

    def __init__(self, directory: Path) -> None:
        self.up = Up(directory, {"WORKERS": "2", "ADMIN_PASSWORD": PASSWORD, "WEBHOOK_ALLOW_PRIVATE": "1"})
        self.url = f"http://127.0.0.1:{self.up.port}"
        self.logins: dict[str, StorageState] = {}

    def start(self) -> None:
        self.up.wait_until_ready()
        made = self.up.manage("shell", "--no-imports", "-c", _USERS)
        assert made.returncode == 0, made.stderr
        key = self.up.manage("create_api_key", "browser", "--role", "operator")
        assert key.returncode == 0, key.stderr
        self.api = Api(self.url, key.stdout.strip())


class Watch:
    """What went wrong on the pages of one test."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def over(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("requestfailed", self._failed)
        page.add_init_script(_REPORT_VIOLATIONS)

    def forgive(self) -> None:
        """What has been seen so far was meant by the test."""
        self.problems.clear()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.location.get('url')}: {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by going on to another page
            self.problems.append(f"{request.url}: {request.failure}")


class People:
    """Opens the console as one or another of those who may log in."""

    def __init__(self, browser: Browser, site: Site, watch: Watch) -> None:
        self._browser = browser
        self._site = site
        self._watch = watch
        self._contexts: list[BrowserContext] = []

    def open(self, role: str, path: str = "/admin/", **options: object) -> Page:
        """A new window of this person, on this page. options: of Playwright's new_context."""
        if role not in self._site.logins:
            self._site.logins[role] = self._log_in(role)
        page = self._window(storage_state=self._site.logins[role], **options)
        page.goto(path)
        return page

    def _log_in(self, role: str) -> StorageState:
        page = self._window()
        page.goto("/admin/login/?next=/admin/")
        page.fill("#id_username", role)
        page.fill("#id_password", PASSWORD)
        page.click("input[type=submit]")
        page.wait_for_url("**/admin/")
        return page.context.storage_state()

    def _window(self, **options: object) -> Page:
        context = self._browser.new_context(base_url=self._site.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = context.new_page()
        self._watch.over(page)
        return page

    def leave(self) -> None:
        for context in self._contexts:
            context.close()


@contextmanager
def running_browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()
