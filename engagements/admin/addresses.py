"""Addresses of the admin's pages. User ids are free text: they may hold slashes, percent signs, or be a single dot.

Django's quote() keeps a browser from decoding what is in an id; dots are quoted here on top, because browsers drop
path segments that are only dots. Both are undone by `object_id`.
"""

from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin.utils import quote, unquote
from django.urls import reverse

_DOT = "_2E"


def segment(key: str | UUID) -> str:
    """A primary key as it stands in a path of the admin."""
    text = str(quote(str(key)))
    return text.replace(".", _DOT) if not text.strip(".") else text


def object_id(segment: str) -> str:
    """The primary key that a path segment stands for."""
    return unquote(segment.replace(_DOT, "."))


def engagement(id: UUID, page: str = "change") -> str:
    return reverse(f"admin:engagements_engagement_{page}", args=[segment(id)])


def pipeline(user_id: str, page: str = "change") -> str:
    return reverse(f"admin:engagements_pipeline_{page}", args=[segment(user_id)])


def channel(name: str, page: str = "change") -> str:
    return reverse(f"admin:engagements_channel_{page}", args=[segment(name)])


def queue(name: str, page: str) -> str:
    return reverse(f"admin:engagements_worker_{page}", args=[segment(name)])


def operation(token: UUID, page: str = "change") -> str:
    return reverse(f"admin:engagements_operation_{page}", args=[token])


def listing(model: str, **filters: str) -> str:
    """The list of a model, filtered."""
    address = reverse(f"admin:engagements_{model}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def add_engagement(**initial: str) -> str:
    """The form that adds an engagement, with some of its fields filled in."""
    address = reverse("admin:engagements_engagement_add")
    return f"{address}?{urlencode(initial)}" if initial else address
