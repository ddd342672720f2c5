"""What every answer says to the browser: what it may load, frame, send on and use."""

import re

import pytest
from django.test import Client

from tests.support.console import LISTS, address, operator, policy_violations

pytestmark = pytest.mark.django_db

PAGES = [
    "/",
    "/admin/",
    "/admin/login/",
    "/api/docs/",
    "/api/docs/?script=",
    "/api/schema/",
    "/api/v1/queues/",
    "/healthz",
]
MISSING = ["/nowhere/", "/admin/nowhere/", "/api/nowhere/", "/static/nowhere.js"]


def directives(response: object) -> dict[str, list[str]]:
    policy = response.headers["Content-Security-Policy"]  # type: ignore[attr-defined]
    return {name: sources for name, *sources in (part.split() for part in policy.split(";"))}


@pytest.mark.usefixtures("broker_url")
@pytest.mark.parametrize("path", [*PAGES, *MISSING, *(address(model) for model in LISTS)])
def test_every_answer_carries_the_policy_and_the_other_headers(path: str) -> None:
    for client in (Client(), operator()) if path == "/admin/" else (operator(),):
        response = client.get(path)
        found = directives(response)
        assert found["default-src"] == ["'none'"]
        assert found["script-src"] == ["'self'"]
        assert found["style-src"] == ["'self'"]
        assert found["frame-ancestors"] == ["'none'"]
        assert found["base-uri"] == ["'none'"]
        assert found["form-action"] == ["'self'"]
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "camera=()" in response.headers["Permissions-Policy"]


def test_a_static_file_carries_the_policy_too() -> None:
    response = Client().get("/static/engagements/icon.svg")
    response.close()
    assert response.status_code == 200
    assert directives(response)["default-src"] == ["'none'"]


def test_the_docs_and_a_refused_form_hold_nothing_that_the_policy_blocks() -> None:
    assert policy_violations(Client().get("/api/docs/")) == []
    refused = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x"})
    assert refused.status_code == 403
    assert policy_violations(refused) == []
    assert "CSRF_TRUSTED_ORIGINS" in refused.content.decode()


def test_the_icon_that_browsers_ask_for_is_there() -> None:
    response = Client().get("/favicon.ico", follow=True)
    response.close()
    assert response.status_code == 200
    assert re.match(r"image/svg", response.headers["Content-Type"])
