"""No form of the site is taken from another site, and the API takes no cookie for a key."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from engagements.models import AuditEntry, Engagement, Pipeline
from tests.support.api import description

pytestmark = pytest.mark.django_db

VALUES = {"uuid": str(uuid4()), "int": "1", "path": "x/y", "str": "x", "user_id": "x", "slug": "x"}


def paths(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    """One path for each pattern of the site, its parameters filled in."""
    for entry in patterns:
        route = getattr(entry.pattern, "_route", None)
        if route is None:
            continue  # by regular expression: what is left over
        for name, converter in entry.pattern.converters.items():
            kind = type(converter).__name__.removesuffix("Converter").lower()
            value = VALUES.get(kind, "x") if kind != "string" else "x"
            route = route.replace(f"<{name}>", value)
            for spelling in ("str", "int", "path", "uuid", "slug", "user_id"):
                route = route.replace(f"<{spelling}:{name}>", VALUES[spelling])
        if isinstance(entry, URLResolver):
            yield from paths(entry.url_patterns, prefix + route)
        else:
            yield f"/{prefix}{route}"


PAGES = [path for path in paths(get_resolver().url_patterns) if path.startswith("/admin/")]


@pytest.fixture
def client(settings: Any) -> Client:
    """A browser that a superuser has logged in with, and that minds CSRF tokens."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss", password="of this test"))
    return client


def test_the_sweep_meets_the_pages() -> None:
    assert len(PAGES) > 40
    assert not [path for path in PAGES if "<" in path]
    for part in ("/login/", "/logout/", "/rotate-secret/", "/import/", "/auth/user/add/"):
        assert any(part in path for path in PAGES), part


@pytest.mark.parametrize("path", PAGES)
def test_a_post_from_elsewhere_is_refused(client: Client, path: str) -> None:
    for headers in ({}, {"Origin": "https://evil.example"}, {"Referer": "https://evil.example/"}):
        assert client.post(path, {"action": "x"}, headers=headers).status_code == 403
    assert not AuditEntry.objects.exists()


def test_a_session_is_no_key_for_the_api(client: Client) -> None:
    for path, methods in description()["paths"].items():
        address = path.replace("{user_id}", "x").replace("{id}", str(uuid4())).replace("{name}", "log")
        for method in methods:
            body = json.dumps({"user_id": "x", "payload": {}})
            response = client.generic(method.upper(), address, body, content_type="application/json")
            assert response.status_code == 401, (method, path)
    assert not Engagement.objects.exists()
    assert not Pipeline.objects.exists()


def test_no_other_site_may_read_an_answer(client: Client) -> None:
    """No CORS header anywhere: a browser gives nothing of this site to another site's script."""
    for path in ("/admin/", "/api/v1/engagements/", "/api/schema/", "/metrics"):
        response = client.get(path, headers={"Origin": "https://evil.example"})
        assert not [name for name in response.headers if name.lower().startswith("access-control")]
