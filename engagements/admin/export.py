"""Lists as CSV files: all that matches the list's filters, streamed while it is read.

Read in chunks that go on behind the last key, each a short statement of its own. A server-side cursor would hold a
transaction, and with it vacuum, for as long as the client likes to take; and it belongs to one connection, while each
chunk may be read by another thread of the server.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import StreamingHttpResponse
from django.utils import timezone

from engagements.admin.csv_text import BYTE_ORDER_MARK, lines

CHUNK = 500
"""Rows read and held at a time; with payloads of 64 KiB some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class Export:
    """What a list's file holds.

    columns: their names. rows: of some of the list's rows, the values in that order. order: a unique key that stays;
    left out: the list is in the order of one. all_rows: of a short list that is no table.
    """

    columns: Sequence[str]
    rows: Callable[[list[Any]], Iterable[Sequence[Any]]]
    order: Sequence[str] = ()
    all_rows: Callable[[], list[Any]] | None = None


def csv_response(name: str, export: Export, chunks: Iterable[list[Any]]) -> StreamingHttpResponse:
    """The file as a download; `chunks` are read while it is sent, and no further once the client has gone."""

    def text() -> Iterator[str]:
        yield BYTE_ORDER_MARK + lines([export.columns])
        for chunk in chunks:
            yield lines(export.rows(chunk))

    stamp = timezone.localtime().strftime("%Y%m%d-%H%M%S")
    return StreamingHttpResponse(
        text(),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}-{stamp}.csv"',
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx passes it on as it comes
        },
    )


def in_chunks(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """All rows, in their order, which must be that of a unique key and go one way: ("user_id", "arrival").

    A row that changes its place meanwhile may be missed or come twice: order by what stays.
    """
    last: Model | None = None
    while True:
        page = list((rows if last is None else rows.filter(_behind(rows, last)))[:CHUNK])
        if page:
            yield page
        if len(page) < CHUNK:
            return
        last = page[-1]


def _behind(rows: QuerySet[Any], last: Model) -> RawSQL:
    """A comparison of whole rows, which is where an index of these columns is entered."""
    order = [str(name) for name in rows.query.order_by]
    names = [name.removeprefix("-") for name in order]
    columns = ", ".join(f'"{rows.model._meta.db_table}"."{rows.model._meta.get_field(name).column}"' for name in names)
    sign = "<" if order[0].startswith("-") else ">"
    marks = ", ".join(["%s"] * len(names))
    values = [getattr(last, name) for name in names]
    return RawSQL(f"({columns}) {sign} ({marks})", values, output_field=BooleanField())  # noqa: S611 - columns' own names
