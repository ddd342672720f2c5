"""One snapshot of a page serves all tabs that show it.

Open tabs ask for their page again every two seconds (static live.js). However many there are, a page with the same
address is made once for all who have the same permissions, and is at most FRESH_SECONDS old. Only its live regions are
kept: no name of a user, no message and no CSRF token is in them (docs/adr/0020-one-snapshot-for-all-tabs.md).

A project that leaves the middleware out has live pages as well; each tab then costs a page of its own.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from hashlib import sha256
from threading import Lock
from typing import Any

from django.contrib.admin.sites import all_sites
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import get_language

from engagements.admin.console_list import FROZEN

REFRESH_HEADER = "X-Live-Refresh"
"""What a request carries that only wants the live regions of a page that is open already."""

FRESH_SECONDS = 1.5
"""How old a snapshot may be that is given out: below the 2 s after which a tab asks again."""

WAIT_SECONDS = 5.0
"""How long a request waits for the snapshot that another one is making, before it makes its own page."""

_making: dict[str, "Future[str | None]"] = {}
"""The snapshots that requests of this process are making now, by key. Processes do not wait for each other."""

_lock = Lock()

_PREFIX = "engagements.snapshot."
_REGION = re.compile(r"<([a-zA-Z][\w-]*)\s[^<>]*\bdata-live(?=[\s=/>])[^<>]*>")
_TOKEN = re.compile(r'(name="csrfmiddlewaretoken" value=")[^"]*')


class LiveSnapshots:
    """Middleware, after those of authentication and messages. Answers refreshes of the console's pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if _is_refresh(request):
            _leave_messages_unread(request)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """The snapshot; None lets Django go on to the view, which then judges for itself."""
        if not _is_refresh(request) or not _may_share(request):
            return None
        key = _key(request)
        kept: str | None = cache.get(key)
        if kept is not None:
            return _answer(kept)
        with _lock:
            making = _making.get(key)
            if making is None:
                mine = _making[key] = Future()
        if making is not None:
            made = _wait_for(making)
            return None if made is None else _answer(made)
        made = None
        try:
            made = cache.get(key)  # of one who was done between the look and the lock
            if made is not None:
                return _answer(made)
            response = view(request, *args, **kwargs)
            made = _regions_of(response)
            if made is None:
                return response
            cache.set(key, made, FRESH_SECONDS)
            return _answer(made)
        finally:
            with _lock:
                del _making[key]
            mine.set_result(made)


def live_regions(page: str) -> str:
    """The elements of a page that are marked data-live, one after the other, without CSRF tokens."""
    found = []
    at = 0
    while start := _REGION.search(page, at):
        at = _end_of(page, start)
        found.append(page[start.start() : at])
    return _TOKEN.sub(r"\1", "\n".join(found))


def _end_of(page: str, start: re.Match[str]) -> int:
    """Where the element ends that starts here: elements of its name within it are counted, others do not matter."""
    depth = 1
    for tag in re.compile(rf"<(/?){start[1]}\b[^<>]*>").finditer(page, start.end()):
        depth += -1 if tag[1] else 1
        if not depth:
            return tag.end()
    return len(page)


def _is_refresh(request: HttpRequest) -> bool:
    return request.method == "GET" and request.headers.get(REFRESH_HEADER) == "1"


def _may_share(request: HttpRequest) -> bool:
    """Whether this is a page of the console, and the site would let this user in to it."""
    match = request.resolver_match
    if match is None or not (match.url_name or "").startswith(("index", "engagements_")):
        return False
    return any(site.name == match.namespace and site.has_permission(request) for site in all_sites)


def _key(request: HttpRequest) -> str:
    """Same key, same content: the address, what the user may see, and how values are written."""
    parameters = request.GET.copy()
    parameters.pop(FROZEN, None)
    user: Any = request.user
    may = "everything" if user.is_superuser else sorted(user.get_all_permissions())
    written = (get_language(), timezone.get_current_timezone_name(), request.get_host(), request.is_secure())
    text = repr((request.path, parameters.urlencode(), may, written))
    return _PREFIX + sha256(text.encode(errors="surrogatepass")).hexdigest()


def _wait_for(making: "Future[str | None]") -> str | None:
    try:
        return making.result(WAIT_SECONDS)
    except TimeoutError:
        return None


def _regions_of(response: HttpResponseBase) -> str | None:
    """None for what is no page: a redirect, a refusal, an error."""
    if response.status_code != 200 or not isinstance(response, HttpResponse):
        return None
    if hasattr(response, "render"):
        response.render()
    return live_regions(response.content.decode(response.charset))


def _answer(regions: str) -> HttpResponse:
    """The time is not of the snapshot but of now: the tab sets its clock by it."""
    now = timezone.now().isoformat()
    response = HttpResponse(
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="delivery-now" content="{now}"></head>'
        f"<body>{regions}</body></html>"
    )
    add_never_cache_headers(response)
    return response


def _leave_messages_unread(request: HttpRequest) -> None:
    """A refresh shows no message, so it must not use up those that wait for the next page."""
    messages = getattr(request, "_messages", None)
    if messages is not None:
        messages.used = False
