"""The list of pipelines: the columns that stand in the row, and for the rows of the page what their heads wait for."""

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from engagements.models import Pipeline
from engagements.selectors.pipelines import PipelineState, pipelines


class PipelineList(ChangeList):
    """Looks at the heads of the page's pipelines together, in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Pipeline] = list(self.result_list)
        found = pipelines([row.user_id for row in rows])
        for row in rows:
            row.state = found.get(row.user_id)  # type: ignore[attr-defined]
        self.result_list = rows


def state_of(row: Pipeline) -> PipelineState | None:
    """What the list found out about this row; None when it went away meanwhile."""
    found: PipelineState | None = row.state  # type: ignore[attr-defined]
    return found
