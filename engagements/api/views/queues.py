"""The workers' queues and the unordered one."""

from rest_framework.request import Request
from rest_framework.response import Response

from engagements import services
from engagements.api.query import Query, read_object, read_reason
from engagements.api.representation import time_json
from engagements.api.schema import calls
from engagements.api.views.base import Call, actor
from engagements.domain.draft import text_problem
from engagements.domain.errors import NotFound
from engagements.selectors import everything
from engagements.selectors import queues as selector


class Queues(Call):
    needs = {"GET": "view_worker"}

    @calls.LIST_QUEUES
    def get(self, request: Request) -> Response:
        Query(request.query_params).done()
        results = [
            {
                "name": queue.name,
                "worker": queue.worker,
                "alive": queue.alive,
                "users": queue.users,
                "pending": queue.pending,
                "oldest_pending_age_seconds": queue.oldest_pending_age_seconds,
                "broker_depth": queue.broker_depth,
            }
            for queue in selector.queues()
        ]
        return Response({"next": None, "previous": None, "results": results})


class PauseEverything(Call):
    needs = {"GET": "view_worker", "POST": "operate_pipeline"}

    @calls.EVERYTHING
    def get(self, request: Request) -> Response:
        Query(request.query_params).done()
        return _everything()

    @calls.PAUSE_EVERYTHING
    def post(self, request: Request) -> Response:
        reason = read_reason(read_object(request.data, ("reason",)))
        services.pause_everything(actor=actor(request), reason=reason)
        return _everything()


class ResumeEverything(Call):
    needs = {"POST": "operate_pipeline"}

    @calls.RESUME_EVERYTHING
    def post(self, request: Request) -> Response:
        reason = read_reason(read_object(request.data, ("reason",)))
        services.resume_everything(actor=actor(request), reason=reason)
        return _everything()


def _everything() -> Response:
    found = everything.state()
    return Response(
        {
            "paused": found is not None,
            "paused_at": time_json(found.paused_at if found else None),
            "resuming": found is not None and found.resuming,
        }
    )


class PurgeQueue(Call):
    needs = {"POST": "operate_pipeline"}

    @calls.PURGE_QUEUE
    def post(self, request: Request, name: str) -> Response:
        reason = read_reason(read_object(request.data, ("reason",)))
        if text_problem(name):
            raise NotFound("there is no queue of that name; GET /api/v1/queues/ lists them")
        return Response({"purged": services.purge_queue(name, actor=actor(request), reason=reason)})
