"""The form that adds an engagement: what a producer would send by the API, with the same rules behind it."""

import json
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.http import QueryDict

from engagements import conf
from engagements.admin.form_page import ServiceForm
from engagements.domain.draft import TIMEOUT_SECONDS, USER_ID_LENGTH
from engagements.models import Channel


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
        help_text="A JSON object, at most 64 KiB.",
        initial="{}",
    )
    channel = forms.ChoiceField(help_text="Where it is delivered. Only active channels are offered.")
    causal_parent = forms.UUIDField(
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField delivery-uuid", "autocomplete": "off"}),
        help_text="Id of the engagement, of any user, that must be settled before this one is attempted.",
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
