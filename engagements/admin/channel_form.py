"""The form that adds a channel."""

from typing import Any

from django import forms

from engagements import conf
from engagements.admin.form_page import ServiceForm
from engagements.channels import URL_LENGTH


class ChannelForm(ServiceForm):
    name = forms.CharField(
        max_length=100,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text="Producers name it in an engagement. Letters, digits, dots, hyphens and underscores.",
    )
    kind = forms.ChoiceField(initial="webhook")
    url = forms.CharField(
        label="URL",
        max_length=URL_LENGTH,
        required=False,
        widget=forms.TextInput(attrs={"class": "vURLField", "autocomplete": "off", "inputmode": "url"}),
        help_text="Where a webhook posts to, by https. A log goes nowhere: leave it empty.",
    )

    fieldsets = [(None, {"fields": ["name", "kind", "url"]})]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = self.fields["kind"]
        assert isinstance(kind, forms.ChoiceField)
        kind.choices = [(name, name) for name in sorted(conf.channel_kinds())]
