"""Adding and importing engagements, with help while one types."""

import json
import random
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import People, Site

Name = Callable[[str], str]

ADD = "/admin/engagements/engagement/add/"

SCANNED = """async texts => {
    const scan = await import("/static/engagements/json_scan.js");
    const parses = (text) => { try { JSON.parse(text); return true; } catch { return false; } };
    return texts.map((text) => {
        const problem = scan.problemOf(text);
        return { valid: parses(text), problem, laidOut: problem ? null : scan.laidOut(text) };
    });
}"""


def add_page(people: People) -> Page:
    return people.open("operator", ADD)


def test_json_is_checked_as_it_is_typed_and_the_place_of_a_mistake_is_shown(people: People) -> None:
    page = add_page(people)
    field, said = page.get_by_label("Payload"), page.locator(".delivery-json-said")
    expect(said).to_have_text("Valid JSON")
    field.fill('{"a": 1,\n "b" 2}')
    expect(said).to_have_text("Line 2, column 6: expected : after the name")
    said.click()
    assert field.evaluate("field => field.selectionStart") == 14
    field.fill("[1]")
    expect(said).to_have_text("This must be an object: {…}")
    field.fill(json.dumps({"a": "x" * 65_536}))
    expect(said).to_have_text("Too large: at most 64 KiB")
    field.fill('{"ä": "😀"}')
    expect(said).to_have_text("Valid JSON")
    expect(page.locator(".delivery-json-size")).to_have_text("13 B of 64 KiB")
    field.fill('{"n":12345678901234567890,"list":[1.0,{}],"s":"a, b: {c}"}')
    page.get_by_role("button", name="Lay out").click()
    expect(field).to_have_value(
        '{\n  "n": 12345678901234567890,\n  "list": [\n    1.0,\n    {}\n  ],\n  "s": "a, b: {c}"\n}'
    )


def test_the_check_agrees_with_a_parser_and_laying_out_changes_no_value(people: People) -> None:
    page = add_page(people)
    rng = random.Random(7)
    good = ['{"a": [1, -0.5e+3, true, null, "\\u00e4\\\\\\"", {}], "b": {"c": []}}', "[]", '"x"', "0", " {} \n"]
    texts = list(good)
    for _ in range(1000):
        letters = list(rng.choice(good))
        for _ in range(rng.randint(1, 2)):
            place = rng.randrange(len(letters) + 1)
            new = rng.choice(['"', ",", "{", "]", "\\", "\n", "1", "01", "u", ":", ""])
            letters[place : place + rng.randint(0, 1)] = new
        texts.append("".join(letters))
    scanned = page.evaluate(SCANNED, texts)
    for text, found in zip(texts, scanned, strict=True):
        assert (found["problem"] is None) == found["valid"], text
        if found["valid"]:
            assert json.loads(found["laidOut"]) == json.loads(text)
        else:
            assert 0 <= found["problem"]["offset"] <= len(text)
    assert 50 < sum(found["valid"] for found in scanned) < len(texts) - 50


def test_known_users_are_suggested_and_a_new_one_can_be_typed(people: People, site: Site, name: Name) -> None:
    user = name("known")
    site.api.pause(user)
    site.api.post(user)
    page = add_page(people)
    field, note = page.locator("#id_user_id"), page.locator("#id_user_id_note")
    field.fill(user[:-1])
    expect(page.locator(f'#id_user_id_suggestions option[value="{user}"]')).to_be_attached()
    field.fill(user)
    expect(note).to_have_text("1 engagement pending, paused")
    field.fill(f"{user}-new")
    expect(note).to_contain_text("New user")


def test_a_parent_is_chosen_among_a_users_latest_and_told_apart(people: People, site: Site, name: Name) -> None:
    user = name("parent")
    site.api.pause(user)
    id = str(site.api.post(user)["id"])
    page = add_page(people)
    field, note = page.locator("#id_causal_parent"), page.locator("#id_causal_parent_note")
    field.fill(user)
    expect(note).to_contain_text("choose one")
    page.locator(f'.delivery-choices button[data-id="{id}"]').click()
    expect(field).to_have_value(id)
    expect(note).to_contain_text(f"Pending, of user {user}")
    expect(page.locator(".delivery-choices button")).to_have_count(0)
    field.fill("00000000-0000-4000-8000-00000000dead")
    expect(note).to_contain_text("Not known yet")


@pytest.mark.parametrize("script", [True, False], ids=["with a script", "without a script"])
def test_a_file_is_looked_at_and_stored_and_so_is_one_engagement(
    people: People, site: Site, name: Name, script: bool
) -> None:
    user = name("listed")
    page = people.open("operator", "/admin/engagements/engagement/import/", java_script_enabled=script)
    page.get_by_label("Or paste it").fill(f"user_id,payload.n\n{user},1\n{user},2\n,3\n")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".delivery-outcomes")).to_contain_text("2 new, of 1 user")
    expect(page.locator("#content")).to_contain_text("is required")
    page.get_by_role("button", name="Store 2 engagements").click()
    expect(page.locator(".delivery-outcomes")).to_contain_text("2 stored")
    page.goto(ADD)
    page.locator("#id_user_id").fill(user)
    page.locator("#id_payload").fill('{"n": 4}')
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added")
    assert [one["payload"]["n"] for one in site.api.engagements(user_id=user)] == [4, "2", "1"]
