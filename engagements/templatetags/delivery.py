"""What the admin's templates of this app show values with; the rules are in admin/display.py."""

from datetime import datetime
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
        "rate",
        "percent",
        "standing",
        "waiting",
        "upper_first",
    ):
        register.filter(_name, getattr(display, _name))

_ORDER = ["Engagement", "Pipeline", "Worker", "Channel", "Operation", "AuditEntry"]
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
    """What the admin's index shows, to those who may see it."""
    from engagements.admin.overview import page

    return page(context["request"])


@register.simple_tag
def delivery_paused_at() -> datetime | None:
    """Since when everything is paused; None while everything runs. One query."""
    from engagements.selectors.everything import paused_at

    return paused_at()


@register.simple_tag(takes_context=True)
def delivery_standing(context: dict[str, Any]) -> dict[str, Any]:
    """The same as paused_at, and the actions on many that are under way as running. One query."""
    from engagements.admin.operation_words import running
    from engagements.selectors.operations import standing

    paused, found = standing()
    return {"paused_at": paused.paused_at if paused else None, "running": running(context["request"], found)}
