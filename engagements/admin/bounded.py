"""Lists over tables of millions of rows: pages and counts that stop at a bound."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator

COUNT_LIMIT = 10_000
"""Rows that a list counts and pages through. Whoever looks for something further down searches or filters."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages through the first 10,000 rows; the count of a longer list stops there, and `more` says so."""

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        # The order stays in: the count then walks the same index as the page, and ends as soon.
        return int(rows[: COUNT_LIMIT + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._counted, COUNT_LIMIT)

    @cached_property
    def more(self) -> bool:
        return self._counted > COUNT_LIMIT
