"""The results as one picture: a panel per shape of work, a bar per contender, medians and spread."""

from pathlib import Path
from typing import Any

from benchmarks.record import Record

PANELS = {
    "dense": ("rate", "Dense: 20,000 of 1,000 users"),
    "sparse": ("rate", "Sparse: 20,000 of 20,000 users"),
    "large": ("rate", "Large: 200,000 of 20,000 users"),
    "hot": ("others", "One user holds a tenth: the others"),
    "slow": ("others", "One user takes 500 ms each: the others"),
    "channel-50-ms": ("rate", "An attempt takes 50 ms"),
    "webhook": ("rate", "HTTP posts to a local receiver"),
    "price": ("rate", "The price of order"),
}

# Okabe and Ito's colours, which the colour-blind tell apart; limits are hatched besides.
OURS, PEER, LIMIT = "#0072B2", "#E69F00", "#BBBBBB"


def plot(record: Record, path: Path) -> list[Path]:
    """Write path.svg and path.png; nothing when nothing of it was measured."""
    panels = [name for name in PANELS if name in record.measures() and _bars(record, name)]
    if not panels:
        return []
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams.update({"font.size": 9, "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False})
    columns = min(2, len(panels))
    heights = [max(len(_bars(record, name)) for name in panels[start : start + columns]) for start in _starts(panels)]
    figure, axes = plt.subplots(
        len(heights),
        columns,
        squeeze=False,
        figsize=(6 * columns, sum(0.32 * height + 0.9 for height in heights)),
        height_ratios=[height + 2.5 for height in heights],
        facecolor="white",
    )
    for place, axis in enumerate(axes.flat):
        if place < len(panels):
            _panel(axis, record, panels[place])
        else:
            axis.axis("off")
    figure.suptitle("Deliveries per second, in order: median of the turns, line from least to most", fontsize=10)
    figure.tight_layout()
    written = [path.with_suffix(".svg"), path.with_suffix(".png")]
    for one in written:
        figure.savefig(one, dpi=110, metadata={"Date": None} if one.suffix == ".svg" else None)
    plt.close(figure)
    return written


def _starts(panels: list[str]) -> range:
    return range(0, len(panels), min(2, len(panels)))


def _bars(record: Record, measure: str) -> list[tuple[str, float, float, float]]:
    figure = PANELS[measure][0]
    bars = []
    for who in record.contenders(measure):
        spreads = record.spreads(measure, who)
        spread = spreads.get(figure)
        if spread:
            bars.append((who, spread.median, spread.least, spread.most))
    return bars


def _panel(axis: Any, record: Record, measure: str) -> None:
    bars = _bars(record, measure)
    for place, (who, median, least, most) in enumerate(bars):
        limit = who.startswith("limit")
        ours = who.startswith("ours") or measure == "price"
        color = LIMIT if limit else OURS if ours else PEER
        axis.barh(place, median, color=color, hatch="//" if limit else "", edgecolor="white", height=0.75)
        axis.plot([least, most], [place, place], color="black", linewidth=1.2, marker="|", markersize=5)
        axis.annotate(
            f"{median:,.0f}", (most, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.set_yticks(range(len(bars)), [who for who, *_ in bars])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.18 * max(most for *_, most in bars))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.xaxis.set_major_locator(_few())
    axis.set_title(PANELS[measure][1], loc="left", fontsize=9, fontweight="bold")


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)
