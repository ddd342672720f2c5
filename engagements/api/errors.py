"""Every error of the API as an RFC 9457 problem document, and the one table from a domain error to its HTTP status."""

import json
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from engagements.domain.errors import Conflict, EngagementsError, FieldError, IdReused, Invalid, NotFound
from engagements.store.patience import TooLong

logger = logging.getLogger("engagements")

PROBLEM_TYPE = "application/problem+json"

STATUS_OF: dict[type[EngagementsError], int] = {
    Invalid: 400,
    NotFound: 404,
    Conflict: 409,
    IdReused: 409,
    TooLong: 503,
}

UNREACHABLE = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
"""The database is away or refuses for now. The store's own statements raise psycopg's errors as they are."""

RETRY_SECONDS = 2
"""When to come back if the database is away: about as long as its restart takes."""


class TooLarge(exceptions.APIException):
    """The body is larger than the server reads."""

    status_code = 413
    default_detail = "The body is larger than 8 MiB; send it in parts."


def problem(status: int, detail: str, errors: Iterable[FieldError] = ()) -> dict[str, Any]:
    """The document: what went wrong, and for bad input the fields concerned."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"field": error.field, "detail": error.detail} for error in errors],
    }


def problem_of(error: EngagementsError) -> dict[str, Any]:
    """The document for an error of the domain."""
    status = next(STATUS_OF[cls] for cls in type(error).__mro__ if cls in STATUS_OF)
    return problem(status, str(error), error.errors)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """What Django REST framework calls with whatever a view raised; None leaves it to handler500."""
    headers: dict[str, str] = {}
    if isinstance(error, EngagementsError):
        document = problem_of(error)
    elif isinstance(error, Http404):
        document = problem(404, "There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        document = problem(403, "This key's role does not allow it.")
    elif isinstance(error, RequestDataTooBig):
        document = problem(413, TooLarge.default_detail)
    elif isinstance(error, UNREACHABLE):
        logger.error("the API answers 503, the database cannot be used: %s", error)
        document = problem(503, "The database cannot be reached at the moment; nothing was changed. Try again.")
        headers["Retry-After"] = str(RETRY_SECONDS)
    elif isinstance(error, exceptions.APIException):
        document = problem(error.status_code, _text(error.detail))
        if header := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = header
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(int(wait))
    else:
        return None
    return ProblemResponse(document, status=document["status"], headers=headers)


class ProblemResponse(Response):
    """A problem document whatever the view renders otherwise, and whatever the client said it accepts (RFC 9457)."""

    @property
    def rendered_content(self) -> Any:
        self["Content-Type"] = PROBLEM_TYPE
        return _encoded(self.data)


def problem_response(status: int, detail: str, errors: Iterable[FieldError] = ()) -> HttpResponse:
    """A problem document outside of Django REST framework."""
    return HttpResponse(_encoded(problem(status, detail, errors)), status=status, content_type=PROBLEM_TYPE)


def _encoded(document: dict[str, Any]) -> bytes:
    """Half a surrogate pair, which a client can send as a field's name, goes out as JSON's own escape."""
    return json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")


def unknown_path(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Whatever under /api/ is no call. Keeps Django from redirecting to the path with a slash, which loses a POST."""
    hint = "" if request.path.endswith("/") else " Every path ends with a slash."
    return problem_response(404, f"There is no {request.path}; /api/docs/ lists the calls.{hint}")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return problem_response(400, "The request cannot be read, or names a host that this server does not serve.")
    return defaults.bad_request(request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return problem_response(403, "This is not allowed.")
    return defaults.permission_denied(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return unknown_path(request) if _is_api(request) else defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    if _is_api(request):
        return problem_response(500, "The server failed on this request; its log says why.")
    return defaults.server_error(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _text(detail: Any) -> str:
    if isinstance(detail, Mapping):
        return "; ".join(f"{name}: {_text(value)}" for name, value in detail.items())
    if isinstance(detail, list):
        return "; ".join(_text(value) for value in detail)
    return str(detail)
