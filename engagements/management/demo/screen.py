"""How the demo looks: 80 columns, readable without colour, in a pipe and in plain ASCII."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from rich.console import Console
from rich.text import Text

WIDTH = 80

INDENT = "   "

MARKS = {
    "posted": (">", "→", "dim"),
    "delivered": ("+", "✓", "green"),
    "refused": ("~", "↻", "yellow"),
    "cut off": ("x", "✗", "yellow"),
    "expired": ("x", "✗", "red"),
    "failed": ("x", "✗", "red"),
    "purged": ("x", "✗", "red"),
}
"""Word → its mark in ASCII, its mark, its colour. The word alone says everything."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened. seconds: since the scene began, by PostgreSQL's clock."""

    seconds: float
    what: str
    user: str
    text: str
    note: str = ""


class Screen:
    """Prints the demo to one stream."""

    def __init__(self, file: IO[str]) -> None:
        self.console = Console(
            file=file, width=min(WIDTH, Console(file=file).width), highlight=False, markup=False, emoji=False
        )
        self._pretty = self.console.encoding.startswith("utf")
        self.scenes = 0

    def heading(self, text: str) -> None:
        self.console.print(Text(self._plain(text), style="bold"))

    def _plain(self, text: str) -> str:
        """What the stream can take of a text."""
        return text if self._pretty else text.replace("…", "...").encode("ascii", "replace").decode()

    def scene(self, title: str, story: str) -> None:
        self.scenes += 1
        self.console.print()
        self.console.print(Text.assemble((f"{self.scenes}  ", "bold cyan"), (title, "bold")))
        self.say(story)
        self.console.print()

    def _wrap(self, text: str, indent: int) -> list[str]:
        """Lines that fit behind an indent; a number stays with its unit."""
        joined = re.sub(r"(\d) (s|ms|min)\b", "\\1\N{NO-BREAK SPACE}\\2", self._plain(text))
        lines = textwrap.wrap(joined, self.console.width - indent)
        return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]

    def say(self, text: str, *, style: str = "") -> None:
        for line in self._wrap(text, len(INDENT)):
            self.console.print(Text(INDENT + line, style=style))

    def aside(self, user: str, text: str) -> None:
        """What is known of a user between rows."""
        for number, line in enumerate(self._wrap(text, 2 * len(INDENT) + 6)):
            name = f"{'' if number else user:<6}"
            self.console.print(Text.assemble(2 * INDENT, (name, "bold"), (line, "yellow")))

    def moral(self, text: str) -> None:
        """What a scene has shown, below its rows."""
        self.console.print()
        self.say(text, style="italic")

    def row(self, row: Row) -> None:
        plain, mark, style = MARKS[row.what]
        line = Text()
        line.append(f"{row.seconds:8.3f}  ", style="dim")
        line.append(f"{mark if self._pretty else plain} {row.what:<9}  ", style=style)
        line.append(f"{row.user:<5} ", style="dim" if row.what == "posted" else "bold")
        line.append(f"{row.text:<22} ", style="dim" if row.what == "posted" else "")
        line.append(self._plain(row.note), style="dim")
        line.rstrip()
        self.console.print(line, no_wrap=True, overflow="ellipsis" if self._pretty else "crop")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The first column to the left, the others to the right."""
        widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
        for number, line in enumerate([header, *rows]):
            first, *others = zip(line, widths, strict=True)
            cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            self.console.print(Text(INDENT + "  ".join(cells), style="" if number else "dim"))

    def blank(self) -> None:
        self.console.print()

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show on a terminal that something is being waited for; print nothing elsewhere."""
        if self.console.is_terminal and self._pretty:
            with self.console.status(Text(text, style="dim")):
                yield
        else:
            yield
