"""Producing, reading and replaying engagements."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engagements import services
from engagements.api.errors import problem_of
from engagements.api.query import Query, read_object, read_reason
from engagements.api.rate_limit import take_engagements
from engagements.api.representation import engagement_json
from engagements.api.schema import calls
from engagements.api.views.base import Call, actor, only_looks, page_response
from engagements.domain.draft import CHANNEL_LENGTH, USER_ID_LENGTH, uuid_or_none
from engagements.domain.errors import Invalid, NotFound
from engagements.models import Engagement
from engagements.selectors import engagements as selector

LARGEST_ARRIVAL = 2**63 - 1


class Engagements(Call):
    needs = {"GET": "view_engagement", "POST": "add_engagement"}

    @calls.LIST_ENGAGEMENTS
    def get(self, request: Request) -> Response:
        query = Query(request.query_params)
        filters = {
            "user_id": query.text("user_id", USER_ID_LENGTH),
            "status": query.choice("status", list(Engagement.Status.values)),
            "channel": query.text("channel", CHANNEL_LENGTH),
            "late": query.flag("late"),
        }
        size, cursor, start = query.page_size(), query.cursor(), None
        if cursor.key is not None:
            if cursor.key.isascii() and cursor.key.isdecimal() and int(cursor.key[:20]) <= LARGEST_ARRIVAL:
                start = int(cursor.key[:20])
            else:
                query.refuse_cursor()
        query.done()
        given = {name: value for name, value in filters.items() if value is not None}
        page = selector.page(given, start=start, towards_newer=cursor.backwards, size=size)
        masked = only_looks(request)
        rows = [engagement_json(row, masked=masked) for row in page.engagements]
        return page_response(request, page.older, page.newer, rows)

    @calls.PRODUCE
    def post(self, request: Request) -> Response:
        if not isinstance(request.data, dict):
            raise Invalid.field("", "an engagement is a JSON object")
        take_engagements(request, 1)
        result = services.produce(**request.data)
        engagement = result.engagement
        if not result.created:  # it may be in service by now
            engagement = selector.engagement(engagement.id)
        return Response(engagement_json(engagement), status=201 if result.created else 200)


class BulkEngagements(Call):
    needs = {"POST": "add_engagement"}

    @calls.PRODUCE_BULK
    def post(self, request: Request) -> Response:
        fields = read_object(request.data, ("engagements",))
        given = fields.get("engagements")
        if not isinstance(given, list):
            raise Invalid.field("engagements", "is required" if given is None else "must be a list")
        if len(given) <= services.BULK_LIMIT:  # else refused as a whole
            take_engagements(request, len(given))
        items = services.produce_bulk(given)
        results = [_result(item, given[item.index]) for item in items]
        refused = any(item.error is not None for item in items)
        return Response({"results": results}, status=207 if refused else 200)


def _result(item: services.BulkItem, given: Any) -> dict[str, Any]:
    id = item.id
    if id is None and isinstance(given, Mapping):
        id = uuid_or_none(given.get("id"))
    error = None if item.error is None else problem_of(item.error)
    return {"index": item.index, "id": None if id is None else str(id), "status": item.status, "error": error}


class OneEngagement(Call):
    needs = {"GET": "view_engagement"}

    @calls.GET_ENGAGEMENT
    def get(self, request: Request, id: str) -> Response:
        Query(request.query_params).done()
        return Response(engagement_json(selector.engagement(_known_form(id)), masked=only_looks(request)))


class Replay(Call):
    needs = {"POST": "replay_engagement"}

    @calls.REPLAY
    def post(self, request: Request, id: str) -> Response:
        reason = read_reason(read_object(request.data, ("reason",)))
        replayed = services.replay(_known_form(id), actor=actor(request), reason=reason)
        return Response(engagement_json(replayed, masked=only_looks(request)))


def _known_form(id: str) -> UUID:
    found = uuid_or_none(id)
    if found is None:
        raise NotFound(f"there is no engagement {id}: an id is a UUID")
    return found
