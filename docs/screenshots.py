"""The pictures of the README and the docs: `make screenshots`.

Starts a whole system by `up` in a directory that goes away, gives it two minutes of traffic (with the demo in the
middle, a paused user, a child that waits for its parent, a webhook that fails), and photographs the console by day
and by night with Debian's Chromium (`apt install chromium`).
"""

import argparse
import math
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import PASSWORD, running_browser
from tests.support.client import Api
from tests.support.receiver import Answer, Receiver
from tests.support.up import Up

IMAGES = Path(__file__).parent / "images"

LARGEST_KB = 200
"""Of a picture: a README is read on phones, too."""

WIDTH, HEIGHT = 1280, 860
TALLEST = 1400
"""Pixels of a page that a picture shows; what is further down is cut off."""

NAMES = ("ada", "ben", "cleo", "dan", "eve", "finn", "grace", "hugo", "ines", "jon", "kim", "lena", "mia", "noah")

LONG = 1800.0
"""Seconds until what is shown as waiting expires."""


def main() -> int:
    arguments = argparse.ArgumentParser(description="Take the pictures of the docs.")
    arguments.add_argument("--seconds", type=float, default=120.0, help="of traffic, for the charts (default 120)")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="screenshots-") as directory:
        settings = {"WORKERS": "3", "ADMIN_PASSWORD": PASSWORD, "WEBHOOK_ALLOW_PRIVATE": "1"}
        with Up(Path(directory) / "data", settings) as up, Receiver(default=Answer(delay_seconds=0.015)) as receiver:
            up.wait_until_ready()
            key = up.manage("create_api_key", "screenshots", "--role", "operator").stdout.strip()
            api = Api(f"http://127.0.0.1:{up.port}", key)
            _traffic(api, up, receiver, given.seconds)
            with running_browser() as browser:
                return _photograph(browser, api)


def _traffic(api: Api, up: Up, receiver: Receiver, seconds: float) -> None:
    """Something to see: a busy system in which some users are stuck, each for a reason of their own."""
    api.create_channel("crm", "webhook", receiver.url("/crm"))
    api.create_channel("partner", "webhook", "http://127.0.0.1:9/hooks")  # nobody listens there
    receiver.script(*[Answer(410)] * 3, user="eve")
    print(f"Traffic for {seconds:.0f} s …", flush=True)
    ended = threading.Event()
    beside = threading.Thread(target=_chatter, args=(api, ended))
    beside.start()
    try:
        began = time.monotonic()
        ended.wait(seconds / 3)
        demo = up.manage("demo", "--pause", "0")
        print(f"The demo ended with {demo.returncode}.", flush=True)
        ended.wait(max(0.0, seconds - (time.monotonic() - began)))
        _stuck(api)
        ended.wait(12)  # long enough for some attempts on the webhook that fails
    finally:
        ended.set()
        beside.join()


def _chatter(api: Api, ended: threading.Event) -> None:
    """A tide of messages for two hundred users, some of them banners, some to a webhook."""
    rng = random.Random(7)
    began = time.monotonic()
    while not ended.is_set():
        tide = 1 + 0.7 * math.sin((time.monotonic() - began) / 9)
        batch = []
        for _ in range(max(1, round(12 * tide * rng.uniform(0.7, 1.3)))):
            one: dict[str, object] = {
                "user_id": f"{rng.choice(NAMES)}-{rng.randint(1, 15)}",
                "payload": {"text": rng.choice(["Your parcel is on its way", "New reply", "Welcome back"])},
            }
            if rng.random() < 0.1:
                one["unordered"] = True
            elif rng.random() < 0.4:
                one["channel"] = "crm"
            if rng.random() < 0.01:
                one |= {"channel": "partner", "timeout_seconds": 3.0}
            batch.append(one)
        if rng.random() < 0.02:
            batch.append({"user_id": "eve", "payload": {"text": "Hello"}, "channel": "crm"})
        api.bulk(batch)
        ended.wait(0.25)


def _stuck(api: Api) -> None:
    """Grace is paused; Dan's head waits for hers; Rita's webhook fails."""
    for number in range(1, 5):
        api.post("dan", payload={"text": f"Dan, message {number}"}, channel="crm")
    api.pause("grace")
    parent = str(uuid4())
    api.post("grace", payload={"text": "Shall we meet?"}, timeout_seconds=LONG)
    api.post("grace", id=parent, payload={"text": "At nine?"}, timeout_seconds=LONG)
    api.post("grace", payload={"text": "Or at ten?"}, timeout_seconds=LONG)
    api.post("dan", payload={"text": "At nine it is"}, causal_parent=parent, timeout_seconds=LONG)
    for number in range(1, 4):
        api.post("dan", payload={"text": f"And then, number {number}"}, timeout_seconds=LONG)
        api.post("rita", payload={"order": number, "state": "paid"}, channel="partner", timeout_seconds=LONG)


def _photograph(browser: Browser, api: Api) -> int:
    pages = {
        "overview": "/admin/",
        "pipeline": "/admin/engagements/pipeline/dan/change/",
        "queues": "/admin/engagements/worker/",
    }
    IMAGES.mkdir(exist_ok=True)
    too_large = False
    for scheme in ("light", "dark"):
        context = browser.new_context(
            base_url=api.url,
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light" if scheme == "light" else "dark",
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        page = context.new_page()
        _log_in(page)
        for name, path in pages.items():
            file = IMAGES / (f"{name}.png" if scheme == "light" else f"{name}-dark.png")
            size = _shot(page, path, file)
            too_large |= size > LARGEST_KB
            print(
                f"{size:5.0f} kB  {file.relative_to(Path.cwd())}{'  <-- too large' * (size > LARGEST_KB)}", flush=True
            )
        context.close()
    return 1 if too_large else 0


def _log_in(page: Page) -> None:
    page.goto("/admin/login/?next=/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_url("**/admin/")


def _shot(page: Page, path: str, file: Path) -> float:
    """One picture, of the page as high as it is; its size in kB."""
    page.goto(path)
    expect(page.locator("#content")).to_be_visible()
    page.wait_for_timeout(2_500)  # a refresh, so that figures which need two looks are there
    height = min(int(page.evaluate("document.querySelector('#content').getBoundingClientRect().bottom")) + 20, TALLEST)
    page.screenshot(
        path=file,
        full_page=True,
        clip={"x": 0, "y": 0, "width": WIDTH, "height": max(height, 500)},
        animations="disabled",
    )
    return file.stat().st_size / 1000


if __name__ == "__main__":
    sys.exit(main())
