"""Array literals come back from PostgreSQL as what they were made from."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engagements.store import arrays
from engagements.store.connection import current, fetch

storable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
database = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)


def back(literal: str, kind: str) -> object:
    [(values,)] = fetch(current(), f"SELECT %s::{kind}[]", [literal])
    return values


@pytest.mark.django_db
@database
@given(st.lists(storable))
def test_texts_survive_whatever_they_hold(values: list[str]) -> None:
    assert back(arrays.texts(values), "text") == values


@pytest.mark.django_db
@pytest.mark.parametrize("values", [["NULL"], ["null", ""], ['"'], ["\\"], ["{}", ","], [" a "], ["a\nb\tc"]])
def test_texts_that_look_like_syntax_stay_texts(values: list[str]) -> None:
    assert back(arrays.texts(values), "text") == values


@pytest.mark.django_db
@database
@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_keep_every_digit(values: list[float | None]) -> None:
    assert back(arrays.numbers(values), "float8") == values


@pytest.mark.django_db
@database
@given(
    st.lists(st.none() | st.uuids()),
    st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    st.lists(st.booleans()),
    st.lists(st.binary(max_size=20)),
)
def test_the_other_kinds_come_back_equal(
    ids: list[UUID | None], times: list[datetime], flags: list[bool], blobs: list[bytes]
) -> None:
    assert back(arrays.uuids(ids), "uuid") == ids
    assert back(arrays.times(times), "timestamptz") == times
    assert back(arrays.flags(flags), "bool") == flags
    assert back(arrays.blobs(blobs), "bytea") == blobs
