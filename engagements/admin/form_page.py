"""The stock "add" page around a form that asks a service instead of saving a model."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin import helpers
from django.http import HttpRequest, HttpResponse

from engagements.admin.read_only import Base
from engagements.domain.errors import EngagementsError, FieldError


class ServiceForm(forms.Form):
    """A form whose meaning is checked by a service."""

    fieldsets: Sequence[tuple[str | None, dict[str, Any]]] = ()

    def refuse(self, error: EngagementsError) -> None:
        """Show the service's errors at their fields; one that concerns no visible field of this form at its head."""
        for problem in error.errors:
            self._show(problem)

    def _show(self, problem: FieldError) -> None:
        name = problem.field.partition(".")[0]
        text = f"{problem.detail[:1].upper()}{problem.detail[1:]}".rstrip(".") + "."
        shown = name in self.fields and not self.fields[name].widget.is_hidden
        self.add_error(name if shown else None, text)


def add_page(
    request: HttpRequest, model_admin: Base[Any], form: ServiceForm, *, add_another: bool = False
) -> HttpResponse:
    """The page with the form, and with what is wrong with it."""
    fieldsets: Any = form.fieldsets
    adminform = helpers.AdminForm(form, fieldsets, {}, model_admin=model_admin)  # type: ignore[arg-type]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Add {model_admin.opts.verbose_name}",
        "adminform": adminform,
        "original": None,
        "is_popup": False,
        "inline_admin_formsets": [],
        "errors": helpers.AdminErrorList(form, []),  # type: ignore[arg-type]
        "media": model_admin.media + adminform.media,
        "preserved_filters": model_admin.get_preserved_filters(request),
        "show_save_and_continue": False,
        "show_save_and_add_another": add_another,
    }
    return model_admin.render_change_form(request, context, add=True)
