"""What the form that adds an engagement is told while one types: known users, and possible causal parents.

Bounded reads of an index each: the beginning of a user id by the primary key, a user's latest by arrival.
"""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.utils import timezone

from engagements.admin import display
from engagements.admin.read_only import Base, permitted
from engagements.domain.draft import uuid_or_none
from engagements.models import Engagement, Pipeline

USERS = 10
LATEST = 10


def urls(model_admin: "Base[Any]") -> list[URLPattern]:
    wrap = model_admin.admin_site.admin_view
    return [
        path("suggest/users/", wrap(users_view), name="engagements_engagement_suggest_users"),
        path("suggest/parents/", wrap(parents_view), name="engagements_engagement_suggest_parents"),
    ]


def users_view(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"users": known_users(_term(request))})


def parents_view(request: HttpRequest) -> JsonResponse:
    return JsonResponse(possible_parents(_term(request)))


def known_users(term: str) -> list[dict[str, str]]:
    """Users whose id begins with the term, each with a word on the pipeline."""
    if not term:
        return []
    rows = Pipeline.objects.filter(user_id__startswith=term).order_by("user_id")[:USERS]
    return [{"user_id": row.user_id, "note": _standing(row)} for row in rows]


def possible_parents(term: str) -> dict[str, Any]:
    """By an engagement's id: what it is. By a user's id: their latest. Else users whose id begins so.

    note: one sentence; kind: "good", "warn" or "" for its colour.
    """
    term = term.strip()
    if not term:
        return {}
    id = uuid_or_none(term)
    if id is not None:
        found = Engagement.objects.filter(id=id).only("id", "user_id", "status", "settled_at", "received_at").first()
        if found is not None:
            return _of_engagement(found)
    latest = [{"id": str(row.id), "status": row.status, "received": _ago(row.received_at)} for row in latest_of(term)]
    if latest:
        return {"note": f"The latest of {display.visible(term)}: choose one.", "kind": "", "engagements": latest}
    if id is not None:
        return {"note": "Not known yet: it is waited for until this one's deadline.", "kind": "warn"}
    return {
        "note": "An engagement's id, or a user's to choose among their latest.",
        "kind": "",
        "users": known_users(term),
    }


def latest_of(user_id: str) -> "QuerySet[Engagement]":
    """The user's latest engagements, the newest first."""
    rows = Engagement.objects.filter(user_id__gte=user_id, user_id__lte=user_id)
    return rows.only("id", "status", "received_at").order_by("-user_id", "-arrival")[:LATEST]


def _of_engagement(found: Engagement) -> dict[str, Any]:
    of = f"of user {display.visible(found.user_id)}"
    if found.settled_at is not None:
        note = f"Settled already: {found.status} {_ago(found.settled_at)} ago, {of}. There is nothing to wait for."
        return {"note": note, "kind": "warn"}
    return {"note": f"Pending, {of}, received {_ago(found.received_at)} ago.", "kind": "good"}


def _standing(row: Pipeline) -> str:
    parts = [f"{display.number(row.depth, 'engagement')} pending" if row.depth else "nothing pending"]
    if row.paused_at is not None:
        parts.append("paused")
    if row.timeout_seconds is not None:
        parts.append(f"time-out {row.timeout_seconds:g} s")
    return ", ".join(parts)


def _ago(value: Any) -> str:
    return display.duration(max(0.0, (timezone.now() - value).total_seconds()))


def _term(request: HttpRequest) -> str:
    if not (permitted(request, "add_engagement") and permitted(request, "view_pipeline")):
        raise PermissionDenied
    return request.GET.get("q", "").replace("\0", "")[:200]
