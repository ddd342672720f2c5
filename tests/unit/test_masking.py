"""What is masked in a payload, and what is not."""

from engagements.domain.masking import MASK, masked


def test_a_plain_name_is_masked_at_any_depth_and_in_lists() -> None:
    payload = {"email": "a@b.c", "to": [{"Email": "d@e.f", "n": 1}], "deep": {"er": {"email": None}}}
    assert masked(payload, ["email"]) == {
        "email": MASK,
        "to": [{"Email": MASK, "n": 1}],
        "deep": {"er": {"email": MASK}},
    }


def test_a_path_is_masked_from_the_top_only() -> None:
    payload = {"card": {"number": "4111", "name": "Ada"}, "number": 1, "old": {"card": {"number": "5500"}}}
    assert masked(payload, ["card.number"]) == {
        "card": {"number": MASK, "name": "Ada"},
        "number": 1,
        "old": {"card": {"number": "5500"}},
    }


def test_a_path_leads_through_lists() -> None:
    assert masked({"cards": [{"number": 1}, {"number": 2}]}, ["cards.number"]) == {
        "cards": [{"number": MASK}, {"number": MASK}]
    }


def test_a_field_that_holds_more_is_masked_as_a_whole() -> None:
    assert masked({"card": {"number": 1}, "phone": [1, 2]}, ["card", "phone"]) == {"card": MASK, "phone": MASK}


def test_a_longer_path_does_not_uncover_a_shorter_one() -> None:
    assert masked({"a": {"b": {"c": 1}}}, ["a.b", "a.b.c"]) == {"a": {"b": MASK}}


def test_the_payload_itself_is_left_as_it_is() -> None:
    payload = {"email": "a@b.c", "list": [{"email": 1}]}
    masked(payload, ["email"])
    assert payload == {"email": "a@b.c", "list": [{"email": 1}]}


def test_nothing_is_masked_unless_it_is_named() -> None:
    payload = {"emails": 1, "mail": {"number": 2}}
    assert masked(payload, ["email", "card.number"]) == payload
    assert masked(payload, []) is payload
