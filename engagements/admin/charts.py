"""The charts of the overview, with the same figures as text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engagements.admin import curves, display
from engagements.selectors.activity import SHARES, Activity

AXES = {
    "15m": ("\u221215 min", "\u221210 min", "\u22125 min", "now"),
    "1h": ("\u221260 min", "\u221245 min", "\u221230 min", "\u221215 min", "now"),
    "24h": ("\u221224 h", "\u221218 h", "\u221212 h", "\u22126 h", "now"),
}
"""Marks of the time axis by span: times ago are the same in every zone."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart and its row of the legend. cells: its figures, under the heads of the chart."""

    name: str
    label: str
    line: str
    area: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """ticks: labels of the vertical axis from the top down; rules, marks: where its lines and those of time stand."""

    name: str
    title: str
    summary: str
    heads: tuple[str, ...]
    curves: tuple[Curve, ...]
    ticks: tuple[str, ...]
    rules: tuple[float, ...]
    axis: tuple[str, ...]
    marks: tuple[float, ...]
    empty: str = ""


def charts(activity: Activity) -> list[Chart]:
    """Delivered; expired and failed, on a scale of their own, for they are few; and how long deliveries took."""
    return [
        _rates(activity, "delivered", "Delivered per second", ["delivered"]),
        _rates(activity, "lost", "Expired and failed per second", ["expired", "failed"]),
        _latency(activity),
    ]


def _rates(activity: Activity, name: str, title: str, statuses: list[str]) -> Chart:
    values = {status: [point.rates[status] for point in activity.points] for status in statuses}
    scale = curves.linear([value for status in statuses for value in values[status]])
    rows = []
    for status in statuses:
        known = [value for value in values[status] if value is not None]
        average = sum(known) / len(known) if known else None
        figures = (known[-1] if known else None, average, max(known, default=None))
        cells = (*map(rate, figures), display.count(activity.totals[status]))
        filled = curves.area(values[status], scale) if len(statuses) == 1 else ""
        rows.append(Curve(status, status, curves.line(values[status], scale), filled, cells))
    empty = "" if any(activity.totals[status] for status in statuses) else f"None in the last {activity.span.title}."
    return _chart(activity, name, title, ("latest", "average", "most", "in all"), rows, scale, rate, empty)


def _latency(activity: Activity) -> Chart:
    values = {share: [point.latencies[share] for point in activity.points] for share in SHARES}
    scale = curves.logarithmic([value for share in SHARES for value in values[share]])
    rows = []
    for share in SHARES:
        known = [value for value in values[share] if value is not None]
        cells = (latency(known[-1] if known else None), latency(activity.latencies[share]))
        name = f"p{share * 100:.0f}"
        rows.append(Curve(name, name, curves.line(values[share], scale), "", cells))
    empty = "" if activity.totals["delivered"] else f"Nothing was delivered in the last {activity.span.title}."
    heads = ("latest", f"last {activity.span.title}")
    return _chart(activity, "latency", "From receipt to delivery", heads, rows, scale, latency, empty)


def _chart(
    activity: Activity,
    name: str,
    title: str,
    heads: tuple[str, ...],
    rows: Sequence[Curve],
    scale: curves.Scale,
    label: Callable[[float | None], str],
    empty: str,
) -> Chart:
    axis = AXES[activity.span.name]
    told = "; ".join(
        f"{row.label}: " + ", ".join(f"{head} {cell}" for head, cell in zip(heads, row.cells, strict=True))
        for row in rows
    )
    return Chart(
        name=name,
        title=title,
        summary=f"The last {activity.span.title}. {told}.",
        heads=heads,
        curves=tuple(rows),
        ticks=tuple(map(label, scale.ticks)),
        rules=tuple(round(scale.y(value), 2) for value in scale.ticks),
        axis=axis,
        marks=tuple(round(100 * number / (len(axis) - 1), 2) for number in range(len(axis))),
        empty=empty,
    )


def rate(value: float | None) -> str:
    """So many a second, in at most three digits below a thousand."""
    if value is None:
        return display.EMPTY
    if value >= 100:
        return display.count(round(value))
    if 0 < value < 0.005:
        return "< 0.01"
    text = f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def latency(seconds: float | None) -> str:
    """A length of time in two digits, which is what the histograms know: 4.2 ms, 38 ms, 1.2 s, 4 min."""
    if seconds is None:
        return display.EMPTY
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f}".rstrip("0").rstrip(".") + " ms"
    if seconds < 0.995:
        return f"{float(f'{seconds * 1000:.2g}'):g} ms"
    if seconds < 60:
        return f"{float(f'{seconds:.2g}'):g} s"
    return display.duration(float(f"{seconds:.2g}"))
