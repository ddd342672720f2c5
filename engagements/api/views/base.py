"""What every call has in common."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.utils.http import urlencode
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from engagements.api.authentication import KeyAuthentication, Needs
from engagements.api.errors import exception_handler
from engagements.api.json_body import JSONRenderer, StrictJSONParser
from engagements.api.query import Cursor
from engagements.api.rate_limit import RequestsPerKey


class Call(APIView):
    """A path of the API. Set up here rather than in the project's settings: other APIs of the project keep their own.

    needs: method → permission of this app. A method without one is answered 405.
    """

    authentication_classes = [KeyAuthentication]
    permission_classes = [Needs]
    throttle_classes = [RequestsPerKey]
    parser_classes = [StrictJSONParser]
    renderer_classes = [JSONRenderer]
    metadata_class = None
    http_method_names = ["get", "head", "post", "patch"]

    needs: ClassVar[dict[str, str]] = {}

    def get_exception_handler(self) -> Any:
        return exception_handler


def actor(request: Request) -> str:
    """Whose key it is, for the audit."""
    assert isinstance(request.user, AbstractUser)
    return request.user.get_username()


def only_looks(request: Request) -> bool:
    """Whether this key may not produce: payloads are masked for it as they are on the admin's pages."""
    return not request.user.has_perm("engagements.add_engagement")


def page_response(request: Request, next_key: Any, previous_key: Any, results: list[Any]) -> Response:
    """A page, with absolute links that keep the filters; the keys are where the neighbouring pages go on."""

    def link(key: Any, *, backwards: bool) -> str | None:
        if key is None:
            return None
        parameters = {**request.query_params.dict(), "cursor": str(Cursor(str(key), backwards=backwards))}
        return request.build_absolute_uri(f"{request.path}?{urlencode(parameters)}")

    return Response(
        {
            "next": link(next_key, backwards=False),
            "previous": link(previous_key, backwards=True),
            "results": results,
        }
    )
