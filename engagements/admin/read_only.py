"""The base of the admin's models: what happened is read, never edited; what changes goes through a service."""

from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from engagements.admin.bounded import BoundedPaginator
from engagements.admin.console_list import ConsoleList
from engagements.admin.export_list import export_list

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    Base = admin.ModelAdmin
else:

    class Base(admin.ModelAdmin):
        """ModelAdmin with a parameter, which Django's own does not take at run time."""

        def __class_getitem__(cls, _: object) -> type:
            return cls


class ReadOnlyAdmin(Base[M]):
    """Shows and never edits: no add, change or delete, whoever asks. Lists never count or search a whole table."""

    actions_selection_counter = True
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 0
    view_on_site = False
    empty_text = "There is nothing here yet."

    class Media:
        css = {"all": ["engagements/console.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only the filters on the page: any other look-up in the address could read a whole table."""
        return any(
            getattr(list_filter, "parameter_name", None) == lookup for list_filter in self.get_list_filter(request)
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConsoleList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> M | None:
        if "\0" in object_id:
            return None
        return super().get_object(request, object_id, from_field)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST":
            self._check_action(request)
        return super().changelist_view(
            request, {"title": self.list_title(), "empty_text": self.empty_text, **(extra_context or {})}
        )

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(self.export_view), name=name), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The list as a CSV file, with the filters that stand in the address."""
        return export_list(request, self)

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Django's answer to an address of nothing: a message, and the index."""
        answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        return answer

    def list_title(self) -> str:
        name = str(self.opts.verbose_name_plural)
        return name[0].upper() + name[1:]

    def _check_action(self, request: HttpRequest) -> None:
        """An action that this user is not offered was forged: 403, where Django would quietly show the list."""
        offered = self.get_actions(request)
        if not offered or any(name and name not in offered for name in request.POST.getlist("action")):
            raise PermissionDenied
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.to_python(key)
            except ValidationError as error:
                raise BadRequest(f"{key!r} is no key of a row") from error
            if "\0" in key:
                raise BadRequest("a key of a row holds no NUL")


def permitted(request: HttpRequest, permission: str) -> bool:
    """Whether the user has a permission of this app, such as replay_engagement."""
    return bool(request.user.has_perm(f"engagements.{permission}"))
