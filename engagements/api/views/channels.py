"""Channels. A secret is in the answer to the call that made it, and nowhere else."""

from rest_framework.request import Request
from rest_framework.response import Response

from engagements import channels
from engagements.api.query import Query, read_object
from engagements.api.representation import channel_json
from engagements.api.schema import calls
from engagements.api.views.base import Call, actor, page_response
from engagements.domain.draft import text_problem
from engagements.domain.errors import Invalid, NotFound
from engagements.models import Channel


class Channels(Call):
    needs = {"GET": "view_channel", "POST": "add_channel"}

    @calls.LIST_CHANNELS
    def get(self, request: Request) -> Response:
        query = Query(request.query_params)
        size, cursor = query.page_size(), query.cursor()
        query.done()
        rows = Channel.objects.order_by("-name" if cursor.backwards else "name")
        if cursor.key is not None:
            rows = rows.filter(**{"name__lt" if cursor.backwards else "name__gt": cursor.key})
        found = list(rows[: size + 1])
        page, more = found[:size], len(found) > size
        onward = page[-1].name if more else None
        back = page[0].name if cursor.key is not None and page else None
        if cursor.backwards:
            page.reverse()
            onward, back = back, onward
        return page_response(request, onward, back, [channel_json(channel) for channel in page])

    @calls.CREATE_CHANNEL
    def post(self, request: Request) -> Response:
        fields = read_object(request.data, ("name", "kind", "url"))
        url = fields.get("url")
        channel, secret = channels.create(
            fields.get("name"), fields.get("kind"), "" if url is None else url, actor=actor(request)
        )
        return Response({**channel_json(channel), "secret": secret}, status=201)


class OneChannel(Call):
    needs = {"GET": "view_channel", "PATCH": "change_channel"}

    @calls.GET_CHANNEL
    def get(self, request: Request, name: str) -> Response:
        Query(request.query_params).done()
        _check(name)
        channel = Channel.objects.filter(name=name).first()
        if channel is None:
            raise NotFound(f"there is no channel {name!r}; GET /api/v1/channels/ lists them")
        return Response(channel_json(channel))

    @calls.CHANGE_CHANNEL
    def patch(self, request: Request, name: str) -> Response:
        fields = read_object(request.data, ("url", "active"))
        if not fields:
            raise Invalid.field("", "nothing to change: give url or active")
        _check(name)
        return Response(channel_json(channels.change(name, dict(fields), actor=actor(request))))


class RotateSecret(Call):
    needs = {"POST": "change_channel"}

    @calls.ROTATE_SECRET
    def post(self, request: Request, name: str) -> Response:
        read_object(request.data, ())
        _check(name)
        channel, secret = channels.rotate_secret(name, actor=actor(request))
        return Response({**channel_json(channel), "secret": secret})


def _check(name: str) -> None:
    if text_problem(name):
        raise NotFound("there is no channel of that name; GET /api/v1/channels/ lists them")
