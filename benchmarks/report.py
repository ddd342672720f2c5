"""What a run says at its end: tables, a plot, where they are kept, and whether the order held."""

from pathlib import Path

from rich.console import Console

from benchmarks.plot import plot
from benchmarks.record import Record
from benchmarks.table import markdown, show


def report(record: Record, path: Path) -> int:
    """Show it, and write path.md, path.svg and path.png; 1 when the order was broken or a turn failed."""
    console = Console(width=None if Console().is_terminal else 150, highlight=False)
    show(record, console)
    if not record.runs:
        console.print("Nothing was measured.")
        return 1
    written = [record.path, path.with_suffix(".md"), *plot(record, path)]
    written[1].write_text(markdown(record))
    if record.options["quick"]:
        console.print("A tenth of the work (--quick): these figures only show that everything runs.")
    if record.busiest() > 1:
        console.print(
            f"The machine was busy with a load of up to {record.busiest():.1f} before a turn, this run's included."
        )
    console.print("Kept:", *(str(one) for one in written), soft_wrap=True)
    wrong = [f"ORDER BROKEN: {line}" for line in record.violations()]
    wrong += [f"FAILED: {line}" for line in record.failures()]
    for line in wrong:
        console.print(line, markup=False, soft_wrap=True)
    return 1 if wrong else 0
