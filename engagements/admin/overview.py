"""The admin's index: how it goes at the moment, what needs an operator, and who is stuck."""

from dataclasses import dataclass

from django.http import HttpRequest

from engagements.admin import addresses, display
from engagements.admin.attention import Notice, attention, bounded
from engagements.admin.charts import Chart, charts, latency
from engagements.admin.read_only import permitted
from engagements.selectors.activity import SHARES, SPANS, Activity, span
from engagements.selectors.overview import Overview, overview
from engagements.selectors.pipelines import PipelineState
from engagements.store.beat import DEAD_SECONDS
from engagements.store.read_overview import FIGURE_LIMIT

SPAN = "span"
"""Of the address: the stretch of time that the charts show."""


JUST_NOW_SECONDS = 3.0
"""Beat sends a message a second: how old the last one is says something only when the next ones stay away."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and where it leads. kind: good, bad or nothing special."""

    label: str
    value: str
    address: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class SpanLink:
    title: str
    address: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What the template places. fresh: nothing has ever been accepted. stuck: the first of the blocked pipelines."""

    notices: list[Notice]
    figures: list[Figure]
    spans: list[SpanLink]
    charts: list[Chart]
    activity: Activity
    stuck: list[PipelineState]
    blocked_address: str
    blocked_more: str
    add_address: str
    fresh: bool


def page(request: HttpRequest) -> Page | None:
    """For one who may see engagements, pipelines and workers; None for others."""
    if not all(permitted(request, f"view_{name}") for name in ("engagement", "pipeline", "worker")):
        return None
    found = overview(span(request.GET.get(SPAN)))
    more = len(found.blocked.users) - len(found.stuck)
    return Page(
        notices=attention(found),
        figures=_figures(found),
        spans=_spans(request, found.activity.span.name),
        charts=charts(found.activity),
        activity=found.activity,
        stuck=found.stuck,
        blocked_address=addresses.listing("pipeline", state="blocked"),
        blocked_more=f"{display.count(more)}{'+' if found.blocked.bounded else ''}" if more > 0 else "",
        add_address=addresses.add_engagement() if permitted(request, "add_engagement") else "",
        fresh=not found.figures.any_engagement and found.activity.empty,
    )


def _figures(found: Overview) -> list[Figure]:
    figures, took = found.figures, found.activity.latencies
    alive = sum(worker["alive"] for worker in found.workers)
    title = found.activity.span.title
    return [
        Figure("pending", bounded(figures.pending, FIGURE_LIMIT), addresses.listing("engagement", status="pending")),
        _oldest(found),
        Figure(
            "pipelines at work",
            bounded(figures.working, FIGURE_LIMIT),
            addresses.listing("pipeline", state="work"),
            f"and {bounded(figures.paused, FIGURE_LIMIT)} paused" if figures.paused else "",
        ),
        Figure(
            "workers alive" if alive != 1 else "worker alive",
            str(alive),
            addresses.listing("worker"),
            f"of {len(found.workers)} known" if len(found.workers) > alive else "",
            "good" if alive else "bad",
        ),
        _beat(found),
        *(
            Figure(f"p{share * 100:.0f} to delivery", latency(took[share]), "#delivery-charts", f"last {title}")
            for share in SHARES
        ),
    ]


def _oldest(found: Overview) -> Figure:
    figures = found.figures
    if figures.oldest_id is None or figures.oldest_user_id is None:
        return Figure("oldest pending", display.EMPTY, addresses.listing("engagement", status="pending"))
    if figures.oldest_unordered:
        address, whose = addresses.engagement(figures.oldest_id), "unordered, of"
    else:
        address, whose = addresses.pipeline(figures.oldest_user_id), "of"
    user = display.visible(figures.oldest_user_id)
    return Figure("oldest pending", display.duration(figures.oldest_seconds), address, f"{whose} {user}")


def _beat(found: Overview) -> Figure:
    silent = found.figures.beat_silent_seconds
    alive = silent is not None and silent <= DEAD_SECONDS
    if silent is None:
        note = "never heard of"
    else:
        note = f"heard of {display.duration(silent)} ago" if silent > JUST_NOW_SECONDS else "heard of just now"
    return Figure("beat", "alive" if alive else "silent", addresses.listing("worker"), note, "good" if alive else "bad")


def _spans(request: HttpRequest, chosen: str) -> list[SpanLink]:
    links = []
    for one in SPANS:
        query = request.GET.copy()
        query[SPAN] = one.name
        links.append(SpanLink(f"last {one.title}", f"?{query.urlencode()}", one.name == chosen))
    return links
