"""Every page of the admin that can be opened, found from its addresses, filters and sorts.

A new page is found by itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import reverse
from django.urls.resolvers import RoutePattern, URLPattern

from engagements.admin.addresses import segment

NO_PAGES = ("login", "logout", "password_change", "password_change_done", "jsi18n", "autocomplete", "view_on_site")
"""Addresses of Django's that are no pages of this console."""

CHOICES = 12
"""Choices of one filter that are opened: a filter by channel has as many as there are channels."""


def addresses(user: User, keys: Mapping[str, Sequence[str]], searches: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Addresses to open, each once; some of them answer to a POST only.

    keys: by model's name, primary keys of rows worth opening; by an address's argument, values for it. searches: by
    model's name, terms to search its list for.
    """
    for pattern in admin.site.get_urls():
        if isinstance(pattern, URLPattern) and pattern.name not in NO_PAGES and _plain(pattern):
            yield reverse(f"admin:{pattern.name}")
    yield reverse("admin:app_list", args=["engagements"])
    for model in apps.get_app_config("engagements").get_models():
        if not admin.site.is_registered(model):
            continue
        model_admin = admin.site.get_model_admin(model)
        name = str(model._meta.model_name)
        for pattern in model_admin.get_urls():
            if _plain(pattern):
                yield reverse(f"admin:{pattern.name}")
            elif pattern.name:
                [argument] = pattern.pattern.converters
                for key in keys.get(name if argument == "object_id" else argument, ()):
                    yield reverse(f"admin:{pattern.name}", args=[segment(key)])
        listing = reverse(f"admin:engagements_{name}_changelist")
        yield from (f"{listing}?{query}" for query in _queries(model_admin, user, searches.get(name, ())))


def _plain(pattern: URLPattern) -> bool:
    """Whether the address takes no argument."""
    return bool(pattern.name) and isinstance(pattern.pattern, RoutePattern) and not pattern.pattern.converters


def _queries(model_admin: Any, user: User, searches: Sequence[str]) -> Iterator[str]:
    """What may stand behind the "?" of a list: each filter and sort alone and in pairs, searches, further pages."""
    request = RequestFactory().get("/")
    request.user = user
    changelist: ChangeList = model_admin.get_changelist_instance(request)
    narrowing = [
        (str(spec.parameter_name), str(value))
        for spec in changelist.filter_specs
        if isinstance(spec, admin.SimpleListFilter)
        for value, _ in spec.lookup_choices[:CHOICES]
    ]
    sorting = [
        ("o", f"{sign}{place}")
        for place, column in enumerate(changelist.list_display)
        if _sortable(changelist, str(column))
        for sign in ("", "-")
    ]
    searching = [("q", term) for term in searches]
    paging = [("p", "2")] if changelist.multi_page else []
    single = [*narrowing, *sorting, *searching, *paging]
    yield from (urlencode([one]) for one in single)
    yield from (urlencode(pair) for pair in combinations(single, 2) if pair[0][0] != pair[1][0])


def _sortable(changelist: ChangeList, column: str) -> bool:
    return column in (changelist.sortable_by or ()) and changelist.get_ordering_field(column) is not None
