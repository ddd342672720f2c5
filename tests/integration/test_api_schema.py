"""The published description: valid, complete, with examples that are as it says."""

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.validation import validate_schema

from tests.support.api import description, validate

OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in description()["paths"].items()
    for method, operation in methods.items()
]


def test_the_description_is_openapi_3_1_and_raises_no_warning() -> None:
    assert description()["openapi"] == "3.1.0"
    validate_schema(description())  # type: ignore[no-untyped-call]
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS])
def test_every_call_has_examples_that_are_as_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["security"] == [{"key": []}]
    bodies = [(status, response) for status, response in operation["responses"].items() if status[0] == "2"]
    assert bodies
    if "requestBody" in operation:
        bodies.append(("request", operation["requestBody"]))
    for name, body in bodies:
        for content in body["content"].values():
            assert content["examples"], name
            for example in content["examples"].values():
                if "BulkResults" not in str(content["schema"]) and name != "request":
                    validate(content["schema"], example["value"])
    if "requestBody" in operation:
        assert {"413", "415"} <= set(operation["responses"])
    assert {"401", "403", "406", "500", "503"} <= set(operation["responses"])
    for status, response in operation["responses"].items():
        if status[0] in "45":
            assert list(response["content"]) == ["application/problem+json"]


def test_every_operation_has_its_own_name() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names) == 24


@pytest.mark.django_db
def test_the_description_is_served_to_anybody() -> None:
    response = Client().get("/api/schema/")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/vnd.oai.openapi")


@pytest.mark.django_db
def test_the_documentation_needs_no_inline_script_and_no_other_host() -> None:
    response = Client().get("/api/docs/", headers={"Accept": "text/html"})
    assert response.status_code == 200
    page = response.content.decode()
    assert "<script>" not in page
    assert "http://" not in page
    assert "https://" not in page
    script = Client().get("/api/docs/?script=")
    assert script.status_code == 200
    assert script.headers["Content-Type"].startswith("application/javascript")
