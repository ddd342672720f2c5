"""User ids in paths: percent-encoded, `/` included, so that the id `a/pause` is not the pausing of `a`.

Django routes by the decoded path, in which an encoded slash looks like any other. For paths below the pipelines the
middleware lets Django route by the path as it came over the wire, and the converter decodes one segment.
"""

from collections.abc import Callable
from urllib.parse import quote, unquote_to_bytes

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse

PIPELINES = "/api/v1/pipelines/"

CALLS = ("pause", "resume", "purge", "end-session", "skip", "order-proof")
"""What may follow a user id in a path."""


class RouteByEncodedPath:
    """Must stand before everything that looks at the path."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(PIPELINES):
            request.path_info = PIPELINES + _encoded_rest(request)
        return self.get_response(request)


def _encoded_rest(request: HttpRequest) -> str:
    """What follows PIPELINES, percent-encoded."""
    # Django's ASGI request has the scope; behind a WSGI adapter it is in the environment (a2wsgi).
    scope = request.scope if isinstance(request, ASGIRequest) else request.META.get("asgi.scope")
    if scope is not None:
        raw = bytes(scope.get("raw_path") or b"").partition(b"?")[0].decode("latin-1")
        prefix = request.META.get("SCRIPT_NAME", "") + PIPELINES
        if raw.startswith(prefix):
            return raw.removeprefix(prefix)
    return _encoded_again(request.path_info.removeprefix(PIPELINES))


def _encoded_again(decoded: str) -> str:
    """For servers that give the decoded path only (WSGI): all but a call's name at the end is the user id."""
    if not decoded.endswith("/"):
        return quote(decoded)
    user, slash, call = decoded[:-1].rpartition("/")
    if slash and call in CALLS:
        return f"{quote(user, safe='')}/{call}/"
    return f"{quote(decoded[:-1], safe='')}/" if decoded != "/" else decoded


class UserIdConverter:
    """One path segment; bytes that are no UTF-8 match nothing."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote_to_bytes(value).decode()

    def to_url(self, value: str) -> str:
        return quote(value, safe="")
