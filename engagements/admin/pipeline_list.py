"""The list of pipelines: the columns that stand in the row, and for the rows of the page what their heads wait for."""

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from engagements.admin.heads import Seen, look_at
from engagements.models import Pipeline


class PipelineList(ChangeList):
    """Looks at the heads of the page's pipelines together, in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Pipeline] = list(self.result_list)
        found = look_at(rows)
        for row in rows:
            row.seen = found.get(row.user_id)  # type: ignore[attr-defined]
        self.result_list = rows


def seen(row: Pipeline) -> Seen | None:
    """What the list found out about this row; None when it went away meanwhile."""
    found: Seen | None = row.seen  # type: ignore[attr-defined]
    return found
