"""What the admin's templates of this app show values with; the rules are in admin/display.py."""

from typing import Any

from django import template
from django.apps import apps

register = template.Library()

# Django loads every tag library for its checks, also where a project embeds the app without the admin.
if apps.is_installed("django.contrib.admin"):
    from engagements.admin import display

    for _name in (
        "moment",
        "moment_of",
        "since",
        "until",
        "duration",
        "status",
        "user",
        "engagement",
        "marks",
        "count",
    ):
        register.filter(_name, getattr(display, _name))

_ORDER = ["Engagement", "Pipeline", "Worker", "Channel", "AuditEntry"]
"""As an operator goes through them, where Django would sort by name."""


@register.filter
def delivery_first(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The admin's list of apps with this one first."""

    def rank(model: dict[str, Any]) -> int:
        name = model["object_name"]
        return _ORDER.index(name) if name in _ORDER else len(_ORDER)

    ours = [{**app, "models": sorted(app["models"], key=rank)} for app in listed if app["app_label"] == "engagements"]
    return ours + [app for app in listed if app["app_label"] != "engagements"]


@register.simple_tag(takes_context=True)
def delivery_overview(context: dict[str, Any]) -> object:
    """The figures of the admin's index, for those who may see them."""
    from engagements.admin.overview import overview

    return overview(context["request"])
