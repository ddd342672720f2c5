"""The pages that import a file of engagements: hand it in, see what would become of it, confirm, read the report."""

from collections import Counter
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse

from engagements import imports
from engagements.admin import addresses, display
from engagements.admin.export import Export, csv_response
from engagements.admin.import_form import ImportForm
from engagements.admin.page import render
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.domain.draft import FIELDS
from engagements.domain.errors import NotFound
from engagements.domain.import_lines import FileError, format_of
from engagements.imports import Foreseen, Refusal
from engagements.models import Engagement, ImportFile
from engagements.payloads import shown

LOOK_SECONDS = 60
"""How long a look at a file is good for: ten thousand lines take half a second to judge. Storing judges them anew."""

SAMPLE = 20
"""Lines that the page shows, from the first."""

REFUSED = 200
"""Refusals that the page shows; the file has all of them."""

PREVIEW = 80
"""Characters of a payload in that sample."""

_REFUSED_COLUMNS = ("line", "field", "reason", "content")


class Importing:
    """The views, for the admin of engagements."""

    def __init__(self, model_admin: ReadOnlyAdmin[Engagement]) -> None:
        self.admin = model_admin

    def urls(self) -> list[URLPattern]:
        wrap = self.admin.admin_site.admin_view
        name = "engagements_engagement_import"
        return [
            path("import/", wrap(self.hand_in), name=name),
            path("import/<uuid:token>/", wrap(self.one), name=f"{name}_one"),
            path("import/<uuid:token>/refused/", wrap(self.refused), name=f"{name}_refused"),
        ]

    def hand_in(self, request: HttpRequest) -> HttpResponse:
        _check(request)
        form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
        if form.is_valid():
            given = form.cleaned_data
            try:
                file = imports.hand_in(given["content"], name=given["name"], actor=request.user.get_username())
            except FileError as error:
                form.refuse(error)
            else:
                _foreseen(file)
                return HttpResponseRedirect(_address(file.token))
        return render(request, self.admin, "import.html", title="Import engagements", form=form, fields=FIELDS)

    def one(self, request: HttpRequest, token: UUID) -> HttpResponse:
        """The look at it, and what came of it; a POST confirms."""
        _check(request)
        actor = request.user.get_username()
        try:
            file = imports.handed_in(token, actor=actor)
            if request.method == "POST":
                done_before = file.finished_at is not None
                file = imports.store(token, actor=actor)
                if done_before:
                    messages.info(request, "This import was done before; nothing was stored a second time.")
                return HttpResponseRedirect(_address(token))
        except NotFound as error:
            messages.warning(request, f"{str(error).capitalize()}.")
            return HttpResponseRedirect(reverse("admin:engagements_engagement_import"))
        return self._report(request, file) if file.finished_at else self._look(request, file)

    def refused(self, request: HttpRequest, token: UUID) -> HttpResponseBase:
        """What is refused, as a CSV file with the lines as they stood there, to be mended and handed in again."""
        _check(request)
        try:
            file = imports.handed_in(token, actor=request.user.get_username())
        except NotFound:
            return HttpResponseRedirect(reverse("admin:engagements_engagement_import"))
        lines = imports.lines_of(file)
        refusals = imports.refusals_of(file) if file.finished_at else _refusals(imports.foresee(lines))
        texts = {line.number: line.text for line in lines}
        export = Export(_REFUSED_COLUMNS, lambda rows: ((r.line, r.field, r.reason, texts[r.line]) for r in rows))
        return csv_response("refused", export, [refusals])

    def _look(self, request: HttpRequest, file: ImportFile) -> HttpResponse:
        look: dict[str, object] = cache.get(_key(file)) or _foreseen(file)
        return render(
            request,
            self.admin,
            "import_look.html",
            title=f"Import {file.name}" if file.name else "Import what was pasted",
            file=file,
            format=format_of(file.text),
            begun=file.stored > 0,
            **look,
            refused_address=_address(file.token, "refused"),
            back=reverse("admin:engagements_engagement_import"),
        )

    def _report(self, request: HttpRequest, file: ImportFile) -> HttpResponse:
        refusals = imports.refusals_of(file)
        return render(
            request,
            self.admin,
            "import_report.html",
            title=f"Imported {file.name}" if file.name else "Imported what was pasted",
            file=file,
            refused=len({refusal.line for refusal in refusals}),
            **_some(refusals),
            refused_address=_address(file.token, "refused"),
            list_address=addresses.listing("engagement"),
            back=reverse("admin:engagements_engagement_import"),
        )


def _check(request: HttpRequest) -> None:
    if not permitted(request, "add_engagement"):
        raise PermissionDenied


def _address(token: UUID, page: str = "one") -> str:
    return reverse(f"admin:engagements_engagement_import_{page}", args=[token])


def _foreseen(file: ImportFile) -> dict[str, object]:
    """What would become of its lines; kept for the page."""
    outcomes = imports.foresee(imports.lines_of(file))
    counts = Counter(outcome.status for outcome in outcomes)
    users = {str(o.line.fields["user_id"]) for o in outcomes if o.line.fields and o.status == "new"}
    look = {
        "new": counts["new"],
        "users": len(users),
        "duplicates": counts["duplicate"],
        "refused": counts["refused"],
        "sample": [_shown(outcome) for outcome in outcomes[:SAMPLE]],
        **_some(_refusals(outcomes)),
    }
    cache.set(_key(file), look, LOOK_SECONDS)
    return look


def _key(file: ImportFile) -> str:
    return f"import-look-{file.token}"


def _refusals(outcomes: list[Foreseen]) -> list[Refusal]:
    return [refusal for outcome in outcomes for refusal in outcome.refusals]


def _some(refusals: list[Refusal]) -> dict[str, object]:
    return {"refusals": refusals[:REFUSED], "more_refusals": max(0, len(refusals) - REFUSED)}


def _shown(outcome: Foreseen) -> dict[str, object]:
    """A line of the sample, as far as it could be read."""
    fields = outcome.line.fields or {}
    payload = fields.get("payload")
    return {
        "line": outcome.line.number,
        "status": outcome.status,
        "user_id": fields.get("user_id"),
        "payload": _preview(payload) if outcome.status != "refused" else "",
        "channel": fields.get("channel"),
        "produced_at": fields.get("produced_at"),
        "causal_parent": fields.get("causal_parent"),
    }


def _preview(payload: Any) -> str:
    return display.preview(shown(payload), PREVIEW)
