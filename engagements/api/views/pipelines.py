"""Reading pipelines, and what operators do to them. Actions answer with the pipeline as it is afterwards."""

from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from engagements import services
from engagements.api.query import WORKER_LENGTH, Query, read_object, read_reason
from engagements.api.representation import engagement_json, pipeline_json
from engagements.api.schema import calls
from engagements.api.views.base import Call, actor, only_looks, page_response
from engagements.domain.draft import USER_ID_LENGTH, uuid_or_none
from engagements.domain.errors import Invalid
from engagements.selectors import pipelines as selector
from engagements.selectors import proof as proof_selector


class Pipelines(Call):
    needs = {"GET": "view_pipeline"}

    @calls.LIST_PIPELINES
    def get(self, request: Request) -> Response:
        query = Query(request.query_params)
        filters = {
            "worker": query.text("worker", WORKER_LENGTH),
            "paused": query.flag("paused"),
            "pending": query.flag("pending"),
        }
        size, cursor = query.page_size(), query.cursor()
        if cursor.key is not None and len(cursor.key) > USER_ID_LENGTH + 1:
            query.refuse_cursor()
        query.done()
        given = {name: value for name, value in filters.items() if value is not None}
        page = selector.page(given, start=cursor.key, backwards=cursor.backwards, size=size)
        return page_response(request, page.after, page.before, [pipeline_json(row) for row in page.pipelines])


class OnePipeline(Call):
    needs = {"GET": "view_pipeline", "PATCH": "change_pipeline"}

    @calls.GET_PIPELINE
    def get(self, request: Request, user_id: str) -> Response:
        Query(request.query_params).done()
        return Response(pipeline_json(selector.pipeline(user_id)))

    @calls.CHANGE_PIPELINE
    def patch(self, request: Request, user_id: str) -> Response:
        fields = read_object(request.data, ("timeout_seconds",))
        if "timeout_seconds" not in fields:
            raise Invalid.field("timeout_seconds", "is required: a number of seconds, or null for the default")
        services.set_timeout(user_id, fields["timeout_seconds"], actor=actor(request))
        return Response(pipeline_json(selector.pipeline(user_id)))


class _Action(Call):
    needs = {"POST": "operate_pipeline"}

    fields: tuple[str, ...] = ("reason",)

    def post(self, request: Request, user_id: str) -> Response:
        fields = read_object(request.data, self.fields)
        return self.act(user_id, fields, {"actor": actor(request), "reason": read_reason(fields)})

    def act(self, user_id: str, fields: Mapping[str, Any], by: dict[str, str]) -> Response:
        raise NotImplementedError


class _PlainAction(_Action):
    service: Callable[..., None]

    def act(self, user_id: str, fields: Mapping[str, Any], by: dict[str, str]) -> Response:
        type(self).service(user_id, **by)
        return Response(pipeline_json(selector.pipeline(user_id)))


@extend_schema_view(post=calls.PAUSE)
class Pause(_PlainAction):
    service = staticmethod(services.pause)


@extend_schema_view(post=calls.RESUME)
class Resume(_PlainAction):
    service = staticmethod(services.resume)


@extend_schema_view(post=calls.END_SESSION)
class EndSession(_PlainAction):
    service = staticmethod(services.end_session)


@extend_schema_view(post=calls.PURGE)
class Purge(_Action):
    def act(self, user_id: str, fields: Mapping[str, Any], by: dict[str, str]) -> Response:
        return Response({"purged": services.purge(user_id, **by)})


@extend_schema_view(post=calls.SKIP)
class Skip(_Action):
    fields = ("id", "reason")

    def act(self, user_id: str, fields: Mapping[str, Any], by: dict[str, str]) -> Response:
        id = uuid_or_none(fields.get("id"))
        if id is None:
            detail = "is required: the id of the head" if fields.get("id") is None else "must be a UUID"
            raise Invalid.field("id", detail)
        services.skip(user_id, id, **by)
        return Response(pipeline_json(selector.pipeline(user_id)))


class OrderProof(Call):
    needs = {"GET": "view_pipeline"}

    @calls.ORDER_PROOF
    def get(self, request: Request, user_id: str) -> Response:
        Query(request.query_params).done()
        proof = proof_selector.of_user(user_id)
        masked = only_looks(request)
        checks = [
            {
                "promise": f"{check.promise}. {check.title}",
                "holds": not check.count,
                "violations": check.violations,
            }
            for check in proof.checks
        ]
        body = {
            "user_id": user_id,
            "holds": all(check["holds"] for check in checks),
            "checks": checks,
            "engagements": [engagement_json(engagement, masked=masked) for engagement in proof.engagements],
        }
        headers = {"Engagements-Omitted": str(proof.omitted)} if proof.omitted else None
        return Response(body, headers=headers)
