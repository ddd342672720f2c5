"""Permissions-Policy: no page of this site uses the device's senses, so none may, nor what is injected into one."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

FEATURES = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)

VALUE = ", ".join(f"{feature}=()" for feature in FEATURES)


class PermissionsPolicy:
    """Middleware. Django has no setting for this header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", VALUE)
        return response
