"""Pages of our own inside the stock admin: its header, sidebar and breadcrumbs around a template of ours."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse

from engagements.admin.read_only import Base


def render(
    request: HttpRequest,
    model_admin: "Base[Any]",
    template: str,
    *,
    title: str,
    **context: Any,
) -> TemplateResponse:
    """One page. title: of the window and the page."""
    site: admin.AdminSite = model_admin.admin_site
    return TemplateResponse(
        request,
        f"engagements/admin/{template}",
        {
            **site.each_context(request),
            "opts": model_admin.opts,
            "media": model_admin.media,
            "title": title,
            **context,
        },
    )
