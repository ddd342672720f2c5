"""Channels: how they do, added, tested, switched off and on, their secrets rotated.

A secret is shown once, as the answer to the click that made it.
"""

from typing import Any
from uuid import uuid4

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements import channels as use_cases
from engagements import services
from engagements.admin import addresses, display
from engagements.admin.channel_form import ChannelForm
from engagements.admin.channel_list import ChannelList, SpanChoice, health_of
from engagements.admin.channel_page import facts_of, rotation_of, success
from engagements.admin.confirmation import confirm
from engagements.admin.form_page import add_page
from engagements.admin.page import render
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.domain.draft import uuid_or_none
from engagements.domain.errors import EngagementsError
from engagements.models import Channel


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin[Channel]):
    list_display = ["channel_link", "state", "success", "p95", "pending", "last_error", "kind", "url_text"]
    list_display_links = None
    list_filter = [SpanChoice]
    sortable_by = []
    ordering = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "add_channel")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "change_channel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """Without the secrets: what is not read cannot be shown."""
        return super().get_queryset(request).defer("secret", "previous_secret")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChannelList

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/activate/", wrap(self.activate_view), name="engagements_channel_activate"),
            path("<path:object_id>/deactivate/", wrap(self.deactivate_view), name="engagements_channel_deactivate"),
            path("<path:object_id>/rotate-secret/", wrap(self.rotate_view), name="engagements_channel_rotate"),
            path("<path:object_id>/test/", wrap(self.test_view), name="engagements_channel_test"),
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

    @admin.display(description="success")
    def success(self, row: Channel) -> SafeString | str:
        return success(health_of(row))

    @admin.display(description="p95")
    def p95(self, row: Channel) -> str:
        recent = health_of(row).recent
        return display.duration(recent.p95_seconds if recent is not None else None)

    @admin.display(description="last error")
    def last_error(self, row: Channel) -> SafeString | str:
        recent = health_of(row).recent
        if recent is None or recent.error_at is None:
            return display.EMPTY
        text = display.shortened(recent.error or recent.error_outcome or "", 80)
        return format_html('{} <a href="{}">{}</a>', display.since(recent.error_at), addresses.channel(row.name), text)

    @admin.display(description="pending")
    def pending(self, row: Channel) -> SafeString | str:
        health = health_of(row)
        if not health.retrying:
            return display.count(health.pending)
        retrying = f"{display.count(health.retrying)} retrying"
        return format_html("{} {}", display.count(health.pending), display.flag(retrying, kind="retry"))

    class Media:
        css = {"all": ["engagements/channels.css"]}

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
        pages = ("activate", "deactivate", "rotate", "test")
        return render(
            request,
            self,
            "channel.html",
            title=f"Channel {channel.name}",
            channel=channel,
            may_operate=self.has_operate_permission(request),
            test_id=uuid4(),
            engagements_address=addresses.listing("engagement", channel=channel.name),
            audit_address=addresses.listing("auditentry", q=channel.name),
            addresses={page: addresses.channel(channel.name, page) for page in pages},
            **facts_of(channel, request),
        )

    def activate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, object_id, active=True)

    def deactivate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, object_id, active=False)

    def _switch(self, request: HttpRequest, object_id: str, *, active: bool) -> HttpResponse:
        channel = self._to_operate(request, object_id)
        if isinstance(channel, HttpResponse):
            return channel
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        use_cases.change(channel.name, {"active": active}, actor=request.user.get_username())
        what = "takes engagements again" if active else "takes no new engagements any more"
        messages.success(request, f"Channel {channel.name} {what}.")
        return HttpResponseRedirect(addresses.channel(channel.name))

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answered at once: the page shows what becomes of it."""
        channel = self._to_operate(request, object_id)
        if isinstance(channel, HttpResponse):
            return channel
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        id = uuid_or_none(request.POST.get("id", "")) or uuid4()
        try:
            services.send_test(channel.name, id=id, actor=request.user.get_username())
        except EngagementsError as error:
            messages.error(request, f"Nothing was sent: {error}.")
        return HttpResponseRedirect(addresses.channel(channel.name))

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = self._to_operate(request, object_id)
        if isinstance(channel, HttpResponse):
            return channel
        reason = confirm(request, self, rotation_of(channel))
        if isinstance(reason, HttpResponse):
            return reason
        try:
            changed, secret = use_cases.rotate_secret(
                channel.name,
                actor=request.user.get_username(),
                reason=reason,
                instead_of=request.POST.get("instead_of", ""),
            )
        except EngagementsError as error:
            messages.warning(request, f"Nothing was rotated: {error}.")
            return HttpResponseRedirect(addresses.channel(channel.name))
        return self._secret_page(request, changed, secret, f"The new secret of channel {changed.name}")

    def _to_operate(self, request: HttpRequest, object_id: str) -> Channel | HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        return self.get_object(request, addresses.object_id(object_id)) or self.gone(request, object_id)

    def _secret_page(self, request: HttpRequest, channel: Channel, secret: str, title: str) -> HttpResponse:
        """Answered to the POST itself: a redirect would have to keep the secret somewhere. Django's admin forbids
        caches to keep any of its pages."""
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
