"""What drf-spectacular is told beside the calls: the key, the components, and the problems that all calls share."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from engagements.api.errors import PROBLEM_TYPE
from engagements.api.schema.components import SCHEMAS

_ALWAYS = {
    "401": "The key is missing, unknown, or expired.",
    "403": "The key's role does not allow it.",
    "406": "The answer is JSON, which the request does not accept.",
    "429": "The key has used up its rate limit; Retry-After says in how many seconds to try again.",
    "500": "The server failed.",
    "503": "The database cannot be reached; nothing was changed.",
}
_WITH_BODY = {
    "413": "The body is larger than 8 MiB, or holds more than 500,000 lists and objects.",
    "415": "The body is not declared as application/json.",
}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer <key>`."""

    target_class = "engagements.api.authentication.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A key made by manage.py create_api_key."}


def complete(result: dict[str, Any], generator: object, request: object, public: bool) -> dict[str, Any]:
    """Add the components, and to each call the problems that it shares with all others."""
    result.setdefault("components", {}).setdefault("schemas", {}).update(SCHEMAS)
    for methods in result["paths"].values():
        for operation in methods.values():
            shared = {**_ALWAYS, **(_WITH_BODY if "requestBody" in operation else {})}
            for status, description in shared.items():
                operation["responses"].setdefault(status, _problem(description))
            optional = operation.pop("x-optional-body", False)
            if "requestBody" in operation:
                operation["requestBody"]["required"] = not optional
    return result


def _problem(description: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": reference}}}
