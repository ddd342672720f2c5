"""Programs in front of the API: their keys, and a client that holds every answer against the published description."""

import json
from functools import cache
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from engagements.api.errors import PROBLEM_TYPE

PROBLEM_FIELDS = {"type", "title", "status", "detail", "errors"}


def key_of(role: str, name: str = "") -> str:
    """A new key, as `create_api_key` prints it."""
    output = StringIO()
    call_command("create_api_key", name or f"a-{role}", "--role", role, stdout=output)
    return output.getvalue().strip()


class Answer:
    """One answer. body: parsed, None when there is none."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status: int = response.status_code
        self.type: str = response.headers.get("Content-Type", "")
        self.body: Any = json.loads(response.content) if response.content else None

    @property
    def fields(self) -> list[str]:
        """The fields that a problem document names."""
        return [error["field"] for error in self.body["errors"]]


class Caller:
    """A program with a key of this role; None: with no key at all."""

    def __init__(self, role: str | None = "producer", *, check: bool = True) -> None:
        self.key = None if role is None else key_of(role)
        self._client = _client()
        self._check = check

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """path: below /api/v1/. body: sent as JSON; bytes as they are."""
        headers = dict(options.pop("headers", {}))
        if self.key is not None:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        content_type = options.pop("content_type", "application/json")
        response = self._client.generic(
            method, f"/api/v1/{path}", data, content_type=content_type, headers=headers, **options
        )
        answer = Answer(response)
        if answer.status >= 400:
            assert answer.type == PROBLEM_TYPE, (answer.status, answer.type)
            assert set(answer.body) == PROBLEM_FIELDS
            assert answer.body["status"] == answer.status
        if self._check and answer.body is not None:
            hold_against_description(method, path, answer)
        return answer

    def get(self, path: str, **options: Any) -> Answer:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.call("POST", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.call("PATCH", path, body, **options)


@cache
def _client() -> Client:
    """One for all: it keeps no cookies here, and making one reads all static files."""
    return Client(raise_request_exception=False)


@cache
def description() -> dict[str, Any]:
    """The OpenAPI description that is served at /api/schema/."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


def operation(method: str, path: str) -> dict[str, Any] | None:
    """The description of the call that this path below /api/v1/ is, or None."""
    wanted = ["api", "v1", *path.partition("?")[0].split("/")]
    best: tuple[int, dict[str, Any]] | None = None
    for template, methods in description()["paths"].items():
        parts = template.removeprefix("/").split("/")
        if len(parts) != len(wanted) or method.lower() not in methods:
            continue
        if all(part == given or part.startswith("{") for part, given in zip(parts, wanted, strict=True)):
            literal = sum(not part.startswith("{") for part in parts)
            if best is None or literal > best[0]:
                best = literal, methods[method.lower()]
    return best[1] if best else None


def hold_against_description(method: str, path: str, answer: Answer) -> None:
    """The status and the body must be as the description has them."""
    described = operation(method, path)
    if described is None:
        assert answer.status in (404, 405), f"{method} {path} is not described and answered {answer.status}"
        return
    response = described["responses"].get(str(answer.status))
    if response is None:
        assert answer.status == 405, f"{method} {path} answered {answer.status}, which is not described"
        return
    [schema] = [content["schema"] for content in response["content"].values()]
    validate(schema, answer.body)


def validate(schema: dict[str, Any], value: Any) -> None:
    """Raises when the value is not as the schema, which may refer to the description's components."""
    whole = {**schema, "components": description()["components"]}
    assert validator_for(whole, Draft202012Validator) is Draft202012Validator
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
