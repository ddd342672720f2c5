"""A page between a click and what cannot be undone: how many, which, what follows, and a reason for the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from engagements.admin.page import render
from engagements.admin.read_only import Base

CONFIRMED = "confirmed"


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "autofocus": True}),
        help_text="Goes into the audit, beside your name.",
    )


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the page says, and what it sends back to the same address once confirmed.

    effects: sentences on what will happen. sample: the first of what is concerned. hidden: names and values posted
    back. back: where "No, take me back" leads.
    """

    title: str
    verb: str
    effects: Sequence[str | SafeString]
    back: str
    hidden: Sequence[tuple[str, str]] = ()
    sample: Sequence[SafeString] = ()
    more: int = 0

    @property
    def and_more(self) -> str:
        """What stands behind the sample."""
        return f"and {self.more:,} more"


def confirm(request: HttpRequest, model_admin: Base[Any], confirmation: Confirmation) -> str | HttpResponse:
    """The reason once it is confirmed; until then the page that asks for it."""
    form = ReasonForm(request.POST if CONFIRMED in request.POST else None)
    if form.is_valid():
        return str(form.cleaned_data["reason"])
    return render(
        request,
        model_admin,
        "confirm.html",
        title=confirmation.title,
        confirmation=confirmation,
        confirmed=CONFIRMED,
        form=form,
    )
