"""Puts a run's tables and plot into docs/performance.md, between the two marks there."""

from pathlib import Path

from benchmarks.plot import plot
from benchmarks.record import Record
from benchmarks.table import goal_rows, machine, number

CHECKOUT = Path(__file__).resolve().parent.parent

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"

COLUMNS = {
    "dense": ("dense", "rate"),
    "sparse": ("sparse", "rate"),
    "large": ("large", "rate"),
    "hot: the others": ("hot", "others"),
    "slow: the others": ("slow", "others"),
    "50 ms": ("channel-50-ms", "rate"),
    "webhook": ("webhook", "rate"),
}

PRICE = "price"


def publish(record: Record) -> list[Path]:
    """Refuses a quick run. Returns the files written."""
    if record.options["quick"]:
        raise SystemExit("A tenth of the work shows nothing worth publishing: leave --quick out.")
    page = CHECKOUT / "docs" / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    plots = plot(record, CHECKOUT / "docs" / "images" / "performance")
    page.write_text(f"{before}{BEGIN}\n{figures(record)}{END}{after}")
    return [page, *plots]


def figures(record: Record) -> str:
    """Medians in deliveries per second by contender and work; the price of order; floors and aims."""
    columns = {title: of for title, of in COLUMNS.items() if of[0] in record.measures()}
    lines = [f"Deliveries per second, medians. {machine(record)}", ""]
    lines += _table("", list(columns), [(who, _cells(record, who, columns)) for who in _everybody(record, columns)])
    if PRICE in record.measures():
        lines += ["", "The price of order, 20,000 engagements:", ""]
        levels = record.contenders(PRICE)
        lines += _table("", levels, [("ours", [_cell(record, PRICE, level, "rate") for level in levels])])
    goals = list(goal_rows(record))
    if goals:
        lines += [
            "",
            *_table("floors and aims", ["floor", "aim", "measured", "met"], [(row[0], row[1:]) for row in goals]),
        ]
    picture = "![Deliveries per second by contender and shape of work](images/performance.svg)"
    return "\n".join([*lines, "", picture, ""])


def _everybody(record: Record, columns: dict[str, tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(who for measure, _ in columns.values() for who in record.contenders(measure)))


def _cells(record: Record, who: str, columns: dict[str, tuple[str, str]]) -> list[str]:
    return [_cell(record, measure, who, figure) for measure, figure in columns.values()]


def _cell(record: Record, measure: str, who: str, figure: str) -> str:
    spread = record.spreads(measure, who).get(figure)
    return number(spread.median) if spread else record.missing(measure, who) or ""


def _table(corner: str, titles: list[str], rows: list[tuple[str, "list[str] | tuple[str, ...]"]]) -> list[str]:
    lines = [f"| {corner} | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    return lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
