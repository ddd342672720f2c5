"""Channels: listed, added, switched off and on, their secrets rotated. A secret is shown once, when it is made."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements import channels as use_cases
from engagements.admin import addresses, display
from engagements.admin.channel_form import ChannelForm
from engagements.admin.form_page import add_page
from engagements.admin.page import render
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.domain.errors import EngagementsError, NotFound
from engagements.models import Channel


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin[Channel]):
    list_display = ["channel_link", "kind", "url_text", "state", "created"]
    list_display_links = None
    sortable_by = []
    ordering = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "add_channel")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "change_channel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """Without the secrets: what is not read cannot be shown."""
        return super().get_queryset(request).defer("secret", "previous_secret")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/activate/", wrap(self.activate_view), name="engagements_channel_activate"),
            path("<path:object_id>/deactivate/", wrap(self.deactivate_view), name="engagements_channel_deactivate"),
            path("<path:object_id>/rotate-secret/", wrap(self.rotate_view), name="engagements_channel_rotate"),
            *super().get_urls(),
        ]

    @admin.display(description="name")
    def channel_link(self, row: Channel) -> SafeString:
        return format_html('<a href="{}">{}</a>', addresses.channel(row.name), row.name)

    @admin.display(description="URL")
    def url_text(self, row: Channel) -> str:
        return row.url or display.EMPTY

    @admin.display(description="state")
    def state(self, row: Channel) -> SafeString:
        return display.flag("active", kind="alive") if row.active else display.flag("switched off")

    @admin.display(description="added")
    def created(self, row: Channel) -> SafeString | str:
        return display.moment(row.created_at)

    # --- one channel ---

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        channel = self.get_object(request, addresses.object_id(object_id))
        if channel is None:
            return self.gone(request, object_id)
        return render(
            request,
            self,
            "channel.html",
            title=f"Channel {channel.name}",
            channel=channel,
            may_operate=self.has_operate_permission(request),
            engagements_address=addresses.listing("engagement", channel=channel.name),
            addresses={page: addresses.channel(channel.name, page) for page in ("activate", "deactivate", "rotate")},
        )

    def activate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, object_id, active=True)

    def deactivate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, object_id, active=False)

    def _switch(self, request: HttpRequest, object_id: str, *, active: bool) -> HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name = addresses.object_id(object_id)
        if self.get_object(request, name) is None:
            return self.gone(request, object_id)
        use_cases.change(name, {"active": active}, actor=request.user.get_username())
        what = "takes engagements again" if active else "takes no new engagements any more"
        messages.success(request, f"Channel {name} {what}.")
        return HttpResponseRedirect(addresses.channel(name))

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name = addresses.object_id(object_id)
        if "\0" in name:
            return self.gone(request, object_id)
        try:
            channel, secret = use_cases.rotate_secret(name, actor=request.user.get_username())
        except NotFound:
            return self.gone(request, object_id)
        return self._secret_page(request, channel, secret, f"The new secret of channel {name}")

    def _secret_page(self, request: HttpRequest, channel: Channel, secret: str, title: str) -> HttpResponse:
        """Answered to the POST itself: a redirect would have to keep the secret somewhere."""
        return render(
            request, self, "secret.html", title=title, secret=secret, channel_address=addresses.channel(channel.name)
        )

    # --- adding one ---

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ChannelForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                channel, secret = use_cases.create(**form.cleaned_data, actor=request.user.get_username())
            except EngagementsError as error:
                form.refuse(error)
            else:
                self.log_addition(request, channel, [{"added": {}}])
                if channel.url:  # one that goes nowhere signs nothing
                    return self._secret_page(request, channel, secret, f"Channel {channel.name} was added")
                messages.success(request, f"Channel {channel.name} was added.")
                return HttpResponseRedirect(addresses.channel(channel.name))
        return add_page(request, self, form)
