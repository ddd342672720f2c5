"""The form that hands in a file of engagements, uploaded or pasted."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from engagements.domain.import_lines import BYTES, ROWS, FileError, text_of


class ImportForm(forms.Form):
    """One of the two; what was pasted stays when something is wrong with it."""

    file = forms.FileField(
        required=False,
        label="File",
        allow_empty_file=True,
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.tsv,.txt,.json,.jsonl,.ndjson", "data-bytes": BYTES}),
        help_text=f"CSV or JSON Lines, in UTF-8, at most {BYTES // 2**20} MiB and {ROWS:,} engagements.",
    )
    text = forms.CharField(
        required=False,
        label="Or paste it",
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 12, "class": "vLargeTextField delivery-json", "spellcheck": "false", "wrap": "off"}
        ),
    )

    def clean(self) -> dict[str, Any]:
        """`content` is the text and `name` that of the file, if it is one."""
        given = self.cleaned_data
        file, text = given.get("file"), given.get("text") or ""
        if file is not None and text.strip():
            raise forms.ValidationError("Choose a file or paste a text: both were given.")
        if file is None and not text.strip():
            raise forms.ValidationError("Choose a file, or paste its lines.")
        try:
            content = _text_of(file) if file is not None else text
        except FileError as error:
            self.add_error("file", str(error))
            return given
        return {**given, "content": content, "name": (file.name or "") if file is not None else ""}

    def refuse(self, error: FileError) -> None:
        """Show it where the lines came from."""
        self.add_error("file" if self.cleaned_data.get("file") is not None else "text", str(error))


def _text_of(file: "UploadedFile[Any]") -> str:
    if (file.size or 0) > BYTES:
        raise FileError(0, f"The file is larger than {BYTES // 2**20} MiB; split it.")
    return text_of(file.read())
