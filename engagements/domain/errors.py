"""What may be refused, and why. Each error says what to do; api/errors.py maps the classes to HTTP statuses."""

from collections.abc import Sequence
from typing import NamedTuple


class FieldError(NamedTuple):
    """One thing wrong with one field of the input; field is "" when it concerns the whole."""

    field: str
    detail: str


class EngagementsError(Exception):
    """Base of every error that a caller of the services can mend."""

    @property
    def errors(self) -> list[FieldError]:
        return [FieldError("", str(self))]


class Invalid(EngagementsError):
    """The input breaks a rule; nothing was stored."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{e.field}: {e.detail}" if e.field else e.detail for e in errors))
        self._errors = list(errors)

    @property
    def errors(self) -> list[FieldError]:
        return self._errors

    @classmethod
    def field(cls, field: str, detail: str) -> "Invalid":
        return cls([FieldError(field, detail)])


class Conflict(EngagementsError):
    """The thing is not in the state that the call needs; read it again."""


class IdReused(Conflict):
    """An engagement with this id exists and its content differs; use a new id."""


class NotFound(EngagementsError):
    """There is nothing by that name."""

    @classmethod
    def pipeline(cls, user_id: str) -> "NotFound":
        return cls(f"user {user_id!r} has no pipeline")
