"""One description per call, to be put on the method that answers it."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from engagements.api.errors import PROBLEM_TYPE
from engagements.api.query import PAGE_SIZE, PAGE_SIZE_LIMIT, WORKER_LENGTH
from engagements.api.schema import examples
from engagements.domain.draft import CHANNEL_LENGTH, USER_ID_LENGTH
from engagements.models import Engagement

_PROBLEMS = {
    400: "Bad input, each field named; nothing was stored.",
    404: "There is nothing by that name.",
    409: "It is not in the state that the call needs, or the name or id is taken.",
}


def _call(
    operation_id: str,
    tag: str,
    summary: str,
    *,
    takes: str | None = None,
    takes_example: dict[str, Any] | None = None,
    optional_body: bool = False,
    gives: dict[int, tuple[str, str, dict[str, Any]]],
    problems: tuple[int, ...] = (),
    parameters: tuple[OpenApiParameter, ...] = (),
    description: str = "",
) -> Callable[[Any], Any]:
    """gives: status → (component, what it means, example). problems: the statuses beyond those that every call has."""
    responses: dict[Any, Any] = {
        status: OpenApiResponse(
            _ref(component), meaning, examples=[OpenApiExample(component, value=value, response_only=True)]
        )
        for status, (component, meaning, value) in gives.items()
    }
    for status in problems:
        responses[(status, PROBLEM_TYPE)] = OpenApiResponse(_ref("Problem"), _PROBLEMS[status])
    request_examples = []
    if takes is not None and takes_example is not None:
        request_examples.append(OpenApiExample(takes, value=takes_example, request_only=True))
    return extend_schema(
        operation_id=operation_id,
        tags=[tag],
        summary=summary,
        description=description,
        request={"application/json": _ref(takes)} if takes is not None else None,
        responses=responses,
        examples=request_examples,
        parameters=list(parameters),
        extensions={"x-optional-body": True} if optional_body else None,
    )


def _ref(component: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{component}"}


def _query(
    name: str, description: str, type: Any = OpenApiTypes.STR, enum: list[str] | None = None
) -> OpenApiParameter:
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, description=description, enum=enum)


def _in_path(name: str, description: str, type: Any = OpenApiTypes.STR) -> OpenApiParameter:
    return OpenApiParameter(name, type, OpenApiParameter.PATH, description=description)


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


_PAGE = (
    _query("cursor", "From `next` or `previous` of a page, as it is.", {"type": "string", "minLength": 1}),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_LIMIT, "default": PAGE_SIZE},
        OpenApiParameter.QUERY,
    ),
)
_ID = (_in_path("id", "The engagement.", OpenApiTypes.UUID),)
_USER = (_in_path("user_id", "Percent-encoded, `/` included.", _text(USER_ID_LENGTH)),)
_QUEUE = (_in_path("name", "`deliver.<worker>` or `unordered`."),)
_CHANNEL = (_in_path("name", "The channel."),)
_STATUSES = list(Engagement.Status.values)

PRODUCE = _call(
    "produce",
    "engagements",
    "Produce an engagement",
    description="Once this answers 2xx, the engagement ends in exactly one final status.",
    takes="EngagementDraft",
    takes_example=examples.DRAFT,
    gives={
        201: ("Engagement", "It is stored.", examples.ENGAGEMENT),
        200: ("Engagement", "The same id and content came before; this is what became of it.", examples.DELIVERED),
    },
    problems=(400, 409),
)
PRODUCE_BULK = _call(
    "produce_bulk",
    "engagements",
    "Produce up to 1,000 engagements",
    takes="Bulk",
    takes_example=examples.BULK,
    gives={
        200: ("BulkResults", "All are stored, now or before.", examples.BULK_CREATED),
        207: ("BulkResults", "Some are refused; the others are stored.", examples.BULK_RESULTS),
    },
    problems=(400,),
)
LIST_ENGAGEMENTS = _call(
    "list_engagements",
    "engagements",
    "List engagements, the newest first",
    gives={200: ("EngagementPage", "A page.", examples.page(examples.DELIVERED))},
    parameters=(
        _query("user_id", "Of this user.", _text(USER_ID_LENGTH)),
        _query("status", "In this status.", enum=_STATUSES),
        _query("channel", "For this channel.", _text(CHANNEL_LENGTH)),
        _query("late", "Late ones, or those that were not.", OpenApiTypes.BOOL),
        *_PAGE,
    ),
    problems=(400,),
)
GET_ENGAGEMENT = _call(
    "get_engagement",
    "engagements",
    "Read an engagement",
    gives={200: ("Engagement", "As it is now.", examples.DELIVERED)},
    parameters=_ID,
    problems=(400, 404),
)
REPLAY = _call(
    "replay",
    "engagements",
    "Give a failed or expired engagement a new life at the end of its pipeline",
    takes="Reason",
    takes_example=examples.REASON,
    optional_body=True,
    gives={200: ("Engagement", "Pending again.", examples.ENGAGEMENT)},
    parameters=_ID,
    problems=(400, 404, 409),
)
LIST_PIPELINES = _call(
    "list_pipelines",
    "pipelines",
    "List pipelines by user id",
    gives={200: ("PipelinePage", "A page.", examples.page(examples.PIPELINE))},
    parameters=(
        _query("worker", "Pinned to this worker.", _text(WORKER_LENGTH)),
        _query("paused", "Paused, or not.", OpenApiTypes.BOOL),
        _query("pending", "With pending engagements, or without.", OpenApiTypes.BOOL),
        *_PAGE,
    ),
    problems=(400,),
)
GET_PIPELINE = _call(
    "get_pipeline",
    "pipelines",
    "Read a pipeline",
    gives={200: ("Pipeline", "As it is now.", examples.PIPELINE)},
    parameters=_USER,
    problems=(400, 404),
)
CHANGE_PIPELINE = _call(
    "change_pipeline",
    "pipelines",
    "Set this user's own pending time-out",
    description="Counts for engagements produced from now on. Creates an unknown pipeline.",
    takes="PipelineChange",
    takes_example={"timeout_seconds": 5},
    gives={200: ("Pipeline", "As it is now.", {**examples.PIPELINE, "timeout_seconds": 5.0})},
    parameters=_USER,
    problems=(400,),
)


def _action(name: str, summary: str, description: str = "", problems: tuple[int, ...] = (400, 404)) -> Any:
    return _call(
        name,
        "pipelines",
        summary,
        description=description,
        takes="Reason",
        takes_example=examples.REASON,
        optional_body=True,
        gives={200: ("Pipeline", "As it is now.", examples.PIPELINE)},
        parameters=_USER,
        problems=problems,
    )


PAUSE = _action(
    "pause",
    "Start nothing of this user; deadlines stand still",
    "A running attempt may finish. Creates an unknown pipeline.",
    problems=(400,),
)
RESUME = _action("resume", "Go on; every deadline moves by the time it stood still")
END_SESSION = _action("end_session", "Let the ring choose the worker anew once the pending work is done")
PURGE = _call(
    "purge",
    "pipelines",
    "Settle everything pending of this user as purged",
    takes="Reason",
    takes_example=examples.REASON,
    optional_body=True,
    gives={200: ("Purged", "How many.", {"purged": 12})},
    parameters=_USER,
    problems=(400, 404),
)
SKIP = _call(
    "skip",
    "pipelines",
    "Settle the head as purged, if it still is the head",
    takes="Skip",
    takes_example={"id": examples.ID},
    gives={200: ("Pipeline", "As it is now.", examples.PIPELINE)},
    parameters=_USER,
    problems=(400, 404, 409),
)
ORDER_PROOF = _call(
    "order_proof",
    "pipelines",
    "The recorded order, with a verdict per promise",
    gives={200: ("OrderProof", "The proof.", examples.ORDER_PROOF)},
    parameters=_USER,
    problems=(400, 404),
)
LIST_QUEUES = _call(
    "list_queues",
    "queues",
    "List the workers' queues and the unordered one",
    gives={200: ("QueuePage", "All of them.", examples.page(examples.QUEUE))},
    problems=(400,),
)
EVERYTHING = _call(
    "is_everything_paused",
    "queues",
    "Whether everything is paused",
    gives={200: ("Everything", "As it is now.", examples.EVERYTHING)},
    problems=(400,),
)
PAUSE_EVERYTHING = _call(
    "pause_everything",
    "queues",
    "Start nothing of any user; all deadlines stand still",
    description="Running attempts may finish; unordered engagements go on. 409 while everything is being resumed.",
    takes="Reason",
    takes_example=examples.REASON,
    optional_body=True,
    gives={200: ("Everything", "As it is now.", examples.EVERYTHING)},
    problems=(400, 409),
)
RESUME_EVERYTHING = _call(
    "resume_everything",
    "queues",
    "Go on; every deadline moves by the time it stood still",
    description="What was paused on its own stays paused. `resuming` is true while users are yet to follow.",
    takes="Reason",
    takes_example=examples.REASON,
    optional_body=True,
    gives={200: ("Everything", "As it is now.", {"paused": False, "paused_at": None, "resuming": False})},
    problems=(400,),
)
PURGE_QUEUE = _call(
    "purge_queue",
    "queues",
    "Purge all users of a queue, or everything unordered",
    takes="Reason",
    takes_example=examples.REASON,
    optional_body=True,
    gives={200: ("Purged", "How many.", {"purged": 12})},
    parameters=_QUEUE,
    problems=(400, 404),
)
LIST_CHANNELS = _call(
    "list_channels",
    "channels",
    "List channels by name",
    gives={200: ("ChannelPage", "A page.", examples.page(examples.CHANNEL))},
    parameters=_PAGE,
    problems=(400,),
)
CREATE_CHANNEL = _call(
    "create_channel",
    "channels",
    "Create a channel",
    takes="ChannelDraft",
    takes_example={"name": "crm", "kind": "webhook", "url": examples.CHANNEL["url"]},
    gives={201: ("ChannelWithSecret", "Keep the secret: it is not shown again.", examples.CHANNEL_WITH_SECRET)},
    problems=(400, 409),
)
GET_CHANNEL = _call(
    "get_channel",
    "channels",
    "Read a channel",
    gives={200: ("Channel", "Without its secret.", examples.CHANNEL)},
    parameters=_CHANNEL,
    problems=(400, 404),
)
CHANGE_CHANNEL = _call(
    "change_channel",
    "channels",
    "Change a channel's url, or whether it takes new engagements",
    takes="ChannelChange",
    takes_example={"active": False},
    gives={200: ("Channel", "As it is now.", {**examples.CHANNEL, "active": False})},
    parameters=_CHANNEL,
    problems=(400, 404),
)
ROTATE_SECRET = _call(
    "rotate_secret",
    "channels",
    "Sign with a new secret, and with the one before until the next rotation",
    gives={200: ("ChannelWithSecret", "Keep the secret: it is not shown again.", examples.CHANNEL_WITH_SECRET)},
    parameters=_CHANNEL,
    problems=(400, 404),
)
