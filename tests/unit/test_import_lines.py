"""A file of engagements is read line by line into the fields of the API; what cannot be read is named with its line."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagements.domain import import_lines
from engagements.domain.import_lines import FileError, format_of, read_lines, text_of

TOKEN = UUID(int=1)
OTHER = UUID(int=2)


def fields(text: str) -> list[dict[str, Any]]:
    """Of lines that can all be read, without the ids that were made for them."""
    lines = read_lines(text, token=TOKEN)
    assert not [line.errors for line in lines if line.errors]
    made = {str(line.fields["id"]) for line in lines if line.fields}
    assert len(made) == len(lines)
    return [{name: value for name, value in (line.fields or {}).items() if name != "id"} for line in lines]


def test_csv_has_the_fields_of_the_api_and_an_empty_cell_is_left_out() -> None:
    text = (
        "user_id,payload,produced_at,causal_parent,unordered,channel,timeout_seconds\n"
        'ada,"{""text"": ""Hello, Ada"", ""n"": 1}",2026-01-31T12:00:00Z,,,,\n'
        "bob,{},,00000000-0000-0000-0000-000000000007,yes,crm,12.5\n"
    )
    assert fields(text) == [
        {"user_id": "ada", "payload": {"text": "Hello, Ada", "n": 1}, "produced_at": "2026-01-31T12:00:00Z"},
        {
            "user_id": "bob",
            "payload": {},
            "causal_parent": "00000000-0000-0000-0000-000000000007",
            "unordered": True,
            "channel": "crm",
            "timeout_seconds": 12.5,
        },
    ]


def test_json_lines_are_taken_as_they_stand() -> None:
    text = '{"user_id": "ada", "payload": {"a": "\u2028"}}\r\n\r\n {"user_id": "bob", "unordered": true}\n'
    assert fields(text) == [{"user_id": "ada", "payload": {"a": "\u2028"}}, {"user_id": "bob", "unordered": True}]
    assert [line.number for line in read_lines(text, token=TOKEN)] == [1, 3]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_the_names_of_the_columns(delimiter: str) -> None:
    text = delimiter.join(["user_id", "payload.a", "channel"]) + "\n" + delimiter.join(["ada", '"x,y;z|w"', "log"])
    assert fields(text) == [{"user_id": "ada", "payload": {"a": "x,y;z|w"}, "channel": "log"}]


def test_single_fields_of_the_payload_are_texts_at_any_depth() -> None:
    text = "user_id,payload.title,payload.card.no,payload.card.color\nada,007,12,\nbob,,,\n"
    assert fields(text) == [
        {"user_id": "ada", "payload": {"title": "007", "card": {"no": "12"}}},
        {"user_id": "bob", "payload": {}},
    ]


def test_quoted_cells_hold_quotes_delimiters_and_new_lines_and_the_next_line_keeps_its_number() -> None:
    text = 'user_id,payload.a\r\n"a ""b"", c","one\r\ntwo\r\n"\r\nbob,three\r\n'
    lines = read_lines(text, token=TOKEN)
    assert fields(text)[0] == {"user_id": 'a "b", c', "payload": {"a": "one\r\ntwo\r\n"}}
    assert [(line.number, line.text) for line in lines] == [(2, '"a ""b"", c","one\r\ntwo\r\n"'), (5, "bob,three")]


def test_user_ids_keep_their_blanks_and_other_cells_do_not() -> None:
    assert fields("user_id , payload, channel\n ada ,{}, log \n ,{},\n") == [
        {"user_id": " ada ", "payload": {}, "channel": "log"},
        {"user_id": " ", "payload": {}},
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encoding_is_told_by_its_mark(encoding: str) -> None:
    text = "user_id,payload.a\nZoë,文字😀\n"
    assert fields(text_of(text.encode(encoding))) == [{"user_id": "Zoë", "payload": {"a": "文字😀"}}]


def test_a_mark_in_pasted_text_is_no_part_of_the_first_column() -> None:
    assert fields("\ufeffuser_id,payload\nada,{}\n")[0]["user_id"] == "ada"


def test_what_is_no_utf_8_is_refused_with_its_line() -> None:
    with pytest.raises(FileError, match=r"Line 2: byte 0xeb is no UTF-8"):
        text_of(b"user_id,payload\nZo\xeb,{}\n")


def test_an_id_of_ones_own_stays_and_another_is_made_of_the_import_and_the_line() -> None:
    text = "id,user_id,payload\n00000000-0000-0000-0000-000000000007,ada,{}\n,ada,{}\n,ada,{}\n"

    def ids(token: UUID) -> list[str]:
        return [str((line.fields or {})["id"]) for line in read_lines(text, token=token)]

    assert ids(TOKEN)[0] == "00000000-0000-0000-0000-000000000007"
    assert len(set(ids(TOKEN))) == 3
    assert ids(TOKEN) == ids(TOKEN)
    assert ids(TOKEN)[1:] != ids(OTHER)[1:]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "There is no engagement"),
        ("user_id,payload\n\n", "There is no engagement"),
        ("name,payload\nada,{}\n", "Line 1: 'name' is no field"),
        ("\n\nuser_id,payload,,\nada,{},,\n", "Line 3: '' is no field"),
        ("ada,{}\n", "Line 1: 'ada' is no field"),
        ("user_id,user_id,payload\n", "Line 1: the column user_id is there twice"),
        ("user_id,payload,payload.a\n", "Line 1: the payload is given as a whole and by single fields"),
        ('user_id,payload\nada,{}\nbob,"{}\ncarl,{}\n', "Line 3: a quote is opened and never closed"),
        ('user_id,payload\nada,"{"a": 1}"\n', "Line 2: text stands behind a closing quote"),
        ("user_id,payload\nada,{}\n\0,{}\n", "Line 3: holds a NUL"),
        ("user_id,payload.a\nada," + "x" * 300_000, "Line 2: a cell is too large"),
    ],
)
def test_a_file_whose_lines_cannot_be_told_apart_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FileError) as refused:
        read_lines(text, token=TOKEN)
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("ada", "", "has 1 cells where the first line has 5"),
        ("ada,{},,,,", "", "has 6 cells"),
        ("ada,{,,,", "payload", "is no JSON: Expecting property name"),
        ("ada,NaN,,,", "payload", "NaN is no number"),
        ("ada,{},perhaps,,", "unordered", "must be true or false"),
        ("ada,{},,soon,", "timeout_seconds", "must be a number"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_alone(line: str, field: str, reason: str) -> None:
    text = f"user_id,payload,unordered,timeout_seconds,channel\nbob,{{}},,,\n{line}\ncarl,{{}},,,\n"
    first, refused, last = read_lines(text, token=TOKEN)
    assert first.fields is not None
    assert last.fields is not None
    assert refused.fields is None
    assert refused.number == 3
    [error] = refused.errors
    assert error.field == field
    assert reason in error.detail


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"user_id": "ada"', "is no JSON: Expecting ',' delimiter at column 18"),
        ("[1]", "one engagement in each line"),
        ("ada", "is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"payload": {"a": ' + "9" * 5000 + "}}", "out of range"),
        ('{"payload": Infinity}', "Infinity is no number"),
    ],
)
def test_a_json_line_that_cannot_be_read_is_refused_alone(line: str, reason: str) -> None:
    refused = read_lines(f'{{"user_id": "ada"}}\n{line}\n{{"user_id": "bob"}}', token=TOKEN)[1]
    assert (refused.number, refused.fields) == (2, None)
    assert reason in refused.errors[0].detail


def test_the_number_of_lines_and_of_bytes_is_bounded() -> None:
    full = "user_id,payload\n" + "ada,{}\n" * import_lines.ROWS
    assert len(read_lines(full, token=TOKEN)) == import_lines.ROWS
    with pytest.raises(FileError, match="Line 10,002: more than 10,000 engagements"):
        read_lines(full + "bob,{}\n", token=TOKEN)
    for text in ("x" * (import_lines.BYTES + 1), "ä" * (import_lines.BYTES // 2 + 1)):
        with pytest.raises(FileError, match="larger than 5 MiB"):
            read_lines(text, token=TOKEN)
        with pytest.raises(FileError, match="larger than 5 MiB"):
            text_of(text.encode())


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_what_was_written_as_json_lines_is_read_back(rows: list[tuple[str, str]]) -> None:
    text = "\n".join(json.dumps({"user_id": user, "payload": {"a": value}}, ensure_ascii=False) for user, value in rows)
    assert format_of(text) == "JSON Lines"
    assert fields(text) == [{"user_id": user, "payload": {"a": value}} for user, value in rows]


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_what_was_written_as_csv_is_read_back(rows: list[tuple[str, str]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    text = "user_id,payload.a\r\n" + "".join(f"{quoted(user)},{quoted(value)}\r\n" for user, value in rows)
    assert format_of(text) == "CSV"
    assert fields(text) == [{"user_id": user, "payload": {"a": value}} for user, value in rows]
