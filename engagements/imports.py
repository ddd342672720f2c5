"""The use cases around importing a file of engagements: handed in, looked at, stored in batches, reported.

Nothing is kept in the browser between the look and the confirmation: the file waits in a row of its own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from engagements import audit, services
from engagements.domain.errors import FieldError, NotFound
from engagements.domain.import_lines import Line, read_lines
from engagements.models import ImportFile
from engagements.services import BULK_LIMIT, BulkItem
from engagements.store.deadlock import retried

NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing wrong with one line; field is "" when it concerns the whole line."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of a line now: status is new, duplicate or refused."""

    line: Line
    status: str
    refusals: Sequence[Refusal]


def hand_in(text: str, *, name: str, actor: str) -> ImportFile:
    """Keep a file to be looked at. Raises FileError when it cannot be read."""
    token = uuid4()
    lines = read_lines(text, token=token)
    return ImportFile.objects.create(
        token=token, actor=actor, name=name[:NAME_LENGTH], text=text.removeprefix("\ufeff"), total=len(lines)
    )


def handed_in(token: UUID, *, actor: str) -> ImportFile:
    """The file with this token, for who handed it in. Raises NotFound."""
    found = ImportFile.objects.filter(token=token, actor=actor).first()
    if found is None:
        raise NotFound("there is no such import of yours; files are kept for a day")
    return found


def lines_of(file: ImportFile) -> list[Line]:
    return read_lines(file.text, token=file.token)


def foresee(lines: Sequence[Line]) -> list[Foreseen]:
    """What storing these lines would answer now, line by line; nothing is stored or locked."""
    readable = [line for line in lines if line.fields is not None]
    answers = dict(zip((line.number for line in readable), services.check_bulk(_fields(readable)), strict=True))
    return [_foreseen(line, answers.get(line.number)) for line in lines]


def store(token: UUID, *, actor: str) -> ImportFile:
    """Store all that is left of this import, and answer its final state. Raises NotFound.

    In list order, in batches of 1,000. Called twice, at the same time or after a crash, it stores each line once.
    """
    file = handed_in(token, actor=actor)
    lines = lines_of(file)
    while file.finished_at is None:
        file = retried(lambda: _store_batch(token, lines))
    return file


def _store_batch(token: UUID, lines: Sequence[Line]) -> ImportFile:
    with transaction.atomic():
        file = ImportFile.objects.select_for_update().defer("text").get(token=token)
        if file.finished_at is not None:
            return file
        batch = lines[file.stored : file.stored + BULK_LIMIT]
        readable = [line for line in batch if line.fields is not None]
        answers = dict(zip((line.number for line in readable), services.produce_bulk(_fields(readable)), strict=True))
        outcomes = [_foreseen(line, answers.get(line.number)) for line in batch]
        counts = Counter(outcome.status for outcome in outcomes)
        file.stored += len(batch)
        file.created += counts["created"]
        file.duplicates += counts["duplicate"]
        file.refused += [[r.line, r.field, r.reason] for outcome in outcomes for r in outcome.refusals]
        if file.stored >= len(lines):
            file.finished_at = datetime.now(UTC)
            audit.record(file.actor, "import", file.name or str(token), count=file.created, reason=_summary(file))
        file.save(update_fields=["stored", "created", "duplicates", "refused", "finished_at"])
        return file


def refusals_of(file: ImportFile) -> list[Refusal]:
    """Of the lines that have been given to the produce service so far."""
    return [Refusal(*refused) for refused in file.refused]


def _fields(lines: Sequence[Line]) -> list[Any]:
    return [line.fields for line in lines]


def _foreseen(line: Line, answer: BulkItem | None) -> Foreseen:
    if answer is not None and answer.error is None:
        return Foreseen(line, answer.status, ())
    errors: Sequence[FieldError] = answer.error.errors if answer is not None and answer.error else line.errors
    return Foreseen(line, "refused", [Refusal(line.number, error.field, error.detail) for error in errors])


def _summary(file: ImportFile) -> str:
    lines = len({refused[0] for refused in file.refused})
    return f"import {file.token}: {file.created} stored, {file.duplicates} known before, {lines} refused"
