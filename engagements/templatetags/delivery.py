"""What the admin's templates of this app show values with; the rules are in admin/display.py."""

from typing import Any

from django import template

from engagements.admin import display
from engagements.admin.overview import Overview, overview

register = template.Library()

for _name in ("moment", "moment_of", "since", "until", "duration", "status", "user", "engagement", "marks", "count"):
    register.filter(_name, getattr(display, _name))

_ORDER = ["Engagement", "Pipeline", "Worker", "Channel", "AuditEntry"]
"""As an operator goes through them, where Django would sort by name."""


@register.filter
def delivery_first(apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The admin's list of apps with this one first."""

    def rank(model: dict[str, Any]) -> int:
        name = model["object_name"]
        return _ORDER.index(name) if name in _ORDER else len(_ORDER)

    ours = [{**app, "models": sorted(app["models"], key=rank)} for app in apps if app["app_label"] == "engagements"]
    return ours + [app for app in apps if app["app_label"] != "engagements"]


@register.simple_tag(takes_context=True)
def delivery_overview(context: dict[str, Any]) -> Overview | None:
    """The figures of the admin's index, for those who may see them."""
    return overview(context["request"])
