"""The state of some pipelines: their heads, who delivers for them, and why the heads have not been delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from engagements.models import Pipeline
from engagements.selectors import pipelines as selectors
from engagements.selectors.pipelines import PipelineState
from engagements.store import read_pipelines
from engagements.store.connection import current


@dataclass(frozen=True, slots=True)
class Seen:
    """A pipeline as the API shows it, and the id of its head."""

    state: PipelineState
    head: UUID | None

    @property
    def waiting(self) -> str:
        """Why the head has not been delivered, as a sentence without a full stop; empty when nothing is pending."""
        return self.state.waiting or ""


def look_at(pipelines: Sequence[Pipeline]) -> dict[str, Seen]:
    """By user, in one statement; without those that are gone."""
    if not pipelines:
        return {}
    rows = read_pipelines.details(current(), [pipeline.user_id for pipeline in pipelines])
    return {row["user_id"]: Seen(selectors._state(row), row["head_id"]) for row in rows}
