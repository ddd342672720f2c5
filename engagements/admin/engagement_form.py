"""The form that adds an engagement: what a producer would send by the API, with the same rules behind it."""

import json
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.http import QueryDict
from django.urls import reverse

from engagements import conf
from engagements.admin.form_page import ServiceForm
from engagements.admin.suggestions import latest_of
from engagements.domain.draft import PAYLOAD_BYTES, TIMEOUT_SECONDS, USER_ID_LENGTH, uuid_or_none
from engagements.models import Channel

LATEST_NAMED = 5
"""Engagements of a user that are named beside a field that wants the id of one."""


class JsonText(forms.CharField):
    """JSON as text. It stays as it was typed when something is wrong with it; what it may hold, the service decides."""

    empty_values = [None, ""]
    widget = forms.Textarea(
        attrs={"rows": 10, "cols": 80, "class": "vLargeTextField delivery-json", "spellcheck": "false"}
    )

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                f"This is no JSON: {error.msg} (line {error.lineno}, column {error.colno}).", code="invalid"
            ) from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nesting without end
            raise forms.ValidationError("This JSON is nested too deeply or holds a number out of range.") from error

    def run_validators(self, value: Any) -> None:
        """None: Django's would turn the value into text again, however deep it is."""


class ParentField(forms.CharField):
    """The id of an engagement. For a user's id it names that user's latest, to choose from."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        id = uuid_or_none(text)
        if id is not None:
            return id
        latest = ", ".join(f"{row.id} ({row.status})" for row in latest_of(text)[:LATEST_NAMED])
        if latest:
            raise forms.ValidationError(f"Enter an engagement's UUID. The latest of user {text}: {latest}.")
        raise forms.ValidationError("Enter a valid UUID, or a user's id to see that user's latest engagements.")

    def run_validators(self, value: Any) -> None:
        """None: Django's are for texts."""


class EngagementForm(ServiceForm):
    """Fields left empty are left out, so that the service's defaults apply."""

    id = forms.UUIDField(widget=forms.HiddenInput, required=False)
    user_id = forms.CharField(
        label="User",
        max_length=USER_ID_LENGTH,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text="Whom to deliver to. A new user gets a pipeline with the first engagement.",
    )
    payload = JsonText(
        help_text=f"A JSON object, at most {PAYLOAD_BYTES // 1024} KiB.",
        initial="{}",
    )
    channel = forms.ChoiceField(help_text="Where it is delivered. Only active channels are offered.")
    causal_parent = ParentField(
        max_length=USER_ID_LENGTH,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField delivery-uuid", "autocomplete": "off"}),
        help_text="Id of the engagement that must be settled before this one is attempted, or a user's id to choose "
        "among their latest.",
    )
    unordered = forms.BooleanField(
        required=False,
        help_text="Deliver it whenever a worker is free, past the user's pipeline. It takes no causal parent.",
    )
    produced_at = forms.SplitDateTimeField(
        required=False,
        widget=AdminSplitDateTime,
        help_text="When it happened; the pipeline is sorted by it. Left empty: now.",
    )
    timeout_seconds = forms.FloatField(
        label="Time-out",
        required=False,
        widget=forms.NumberInput(attrs={"class": "delivery-number", "step": "any", "min": "0"}),
    )

    class Media:
        css = {"all": ["engagements/forms.css"]}
        js = [forms.Script("engagements/add_engagement.js", type="module")]

    fieldsets = [
        (None, {"fields": ["id", "user_id", "payload", "channel"]}),
        ("Order", {"fields": ["causal_parent", "unordered", "produced_at"]}),
        ("Deadline", {"fields": ["timeout_seconds"]}),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Channel.objects.filter(active=True).order_by("name").values_list("name", "kind")
        channel = self.fields["channel"]
        assert isinstance(channel, forms.ChoiceField)
        channel.choices = [(name, name if name == kind else f"{name} ({kind})") for name, kind in names]
        channel.initial = conf.DEFAULT_CHANNEL
        self.fields["id"].initial = uuid4
        self.fields["payload"].widget.attrs["data-json-bytes"] = PAYLOAD_BYTES
        self.fields["user_id"].widget.attrs["data-users"] = reverse("admin:engagements_engagement_suggest_users")
        parents = reverse("admin:engagements_engagement_suggest_parents")
        self.fields["causal_parent"].widget.attrs["data-parents"] = parents
        self.fields["timeout_seconds"].widget.attrs["placeholder"] = f"{conf.pending_timeout_seconds():g}"
        self.fields["timeout_seconds"].help_text = (
            f"Seconds until it expires, at most {TIMEOUT_SECONDS:,}. Left empty: the pipeline's own, "
            f"else {conf.pending_timeout_seconds():g}."
        )

    def given(self) -> dict[str, Any]:
        """The fields for the service; what was left empty is left out."""
        fields = {name: value for name, value in self.cleaned_data.items() if value is not None and value != ""}
        if not fields["unordered"]:
            del fields["unordered"]
        return fields

    def renew_id(self) -> None:
        """Let the next submission be another engagement than this one."""
        self.data = {**self.data.dict(), "id": str(uuid4())} if isinstance(self.data, QueryDict) else self.data
