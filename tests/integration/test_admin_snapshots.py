"""One snapshot serves all tabs: made once, fresh, for the same permissions only, and without anything of a user."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test import Client

from engagements.admin import snapshots
from engagements.admin.snapshots import FRESH_SECONDS, live_regions
from engagements.services import produce
from tests.support.console import address, console_of, counted_statements, member, operator, viewer
from tests.support.up import until

REFRESH = {"X-Live-Refresh": "1"}


@pytest.fixture(autouse=True)
def no_snapshots() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def refresh(console: Client, page: str = address("engagement")) -> str:
    response = console.get(page, headers=REFRESH)
    assert response.status_code == 200, response
    return response.content.decode()


def page_statements(statements: list[str]) -> list[str]:
    """Those of the page itself; who asks is looked up for each request."""
    return [statement for statement in statements if '"engagements_' in statement]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_ten_refreshes_at_once_cost_one_set_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FRESH_SECONDS", 60)  # however late the last of the ten threads asks
    produce(user_id="alice", payload={})
    consoles = [console_of(member("operator") if not n else _another_operator(n)) for n in range(10)]
    with counted_statements() as for_one:
        alone = refresh(consoles[0])
    cache.clear()
    together = Barrier(len(consoles))

    def ask(console: Client) -> str:
        together.wait(10)
        try:
            return refresh(console)
        finally:
            connection.close()

    with counted_statements() as for_ten, ThreadPoolExecutor(len(consoles)) as pool:
        answers = list(pool.map(ask, consoles))
    assert len(page_statements(for_one)) > 1
    assert len(page_statements(for_ten)) == len(page_statements(for_one))
    assert {rows(answer) for answer in answers} == {rows(answers[0])}
    assert "alice" in alone
    assert "alice" in answers[0]


def _another_operator(number: int) -> User:
    user = User.objects.create_user(f"operator-{number}", is_staff=True)
    user.groups.add(member_group())
    return user


def member_group() -> int:
    from django.contrib.auth.models import Group

    return int(Group.objects.get(name="operator").pk)


def rows(answer: str) -> str:
    """An answer without the time at which it was given."""
    return answer[answer.index("<body>") :]


@pytest.mark.django_db
def test_a_snapshot_is_shared_and_soon_too_old() -> None:
    console = viewer()
    assert "alice" not in refresh(console)
    produce(user_id="alice", payload={})
    assert "alice" not in refresh(console)
    until(lambda: "alice" in refresh(console), seconds=FRESH_SECONDS + 1, what="the next snapshot")


@pytest.mark.django_db
def test_who_may_see_less_gets_a_snapshot_of_their_own() -> None:
    produce(user_id="alice", payload={})
    assert "action-select" in refresh(operator())
    seen = refresh(viewer())
    assert "action-select" not in seen
    assert "alice" in seen


@pytest.mark.django_db
def test_who_may_see_nothing_is_refused_though_a_snapshot_is_there() -> None:
    refresh(operator())
    nobody = console_of(User.objects.create_user("nobody", is_staff=True))
    assert nobody.get(address("engagement"), headers=REFRESH).status_code == 403
    former = User.objects.create_user("former", is_staff=False)
    former.user_permissions.set(Permission.objects.all())
    assert console_of(former).get(address("engagement"), headers=REFRESH).status_code == 302
    assert Client().get(address("engagement"), headers=REFRESH).status_code == 302


@pytest.mark.django_db
def test_a_permission_that_is_taken_away_counts_at_once() -> None:
    user = member("viewer")
    console = console_of(user)
    refresh(console)
    user.groups.clear()
    assert console.get(address("engagement"), headers=REFRESH).status_code == 403


@pytest.mark.django_db
@pytest.mark.usefixtures("broker_url")
@pytest.mark.parametrize(
    "page",
    [
        "/admin/",
        address("engagement"),
        address("pipeline"),
        address("pipeline", "alice/change/"),
        address("worker"),
        address("channel"),
        address("auditentry"),
    ],
)
def test_a_snapshot_holds_neither_a_name_nor_a_token(page: str) -> None:
    produce(user_id="alice", payload={})
    user = User.objects.create_superuser("somebody-special")
    answer = refresh(console_of(user), page)
    assert user.username not in answer
    for part in answer.split('name="csrfmiddlewaretoken" value="')[1:]:
        assert part.startswith('"')


@pytest.mark.django_db
def test_a_message_waits_for_the_next_page_and_is_not_used_up_by_a_refresh() -> None:
    console = operator()
    console.post(address("pipeline"), {"action": "pause_selected", "index": "0", "_selected_action": "nobody"})
    assert "already" not in refresh(console, address("pipeline"))
    cache.clear()
    assert "already" not in refresh(console, address("pipeline"))
    assert "All of these were paused already." in console.get(address("pipeline")).content.decode()


@pytest.mark.django_db
def test_each_address_has_a_snapshot_of_its_own_and_a_frozen_one_none() -> None:
    produce(user_id="alice", payload={})
    console = operator()
    assert "alice" in refresh(console, address("engagement", "?q=alice"))
    assert "alice" not in refresh(console, address("engagement", "?q=bob"))
    with counted_statements() as statements:
        refresh(console, address("engagement", "?q=alice&frozen=1"))
    assert page_statements(statements) == []


@pytest.mark.django_db
def test_a_page_that_is_opened_is_never_a_snapshot() -> None:
    console = operator()
    refresh(console)
    produce(user_id="alice", payload={})
    page = console.get(address("engagement")).content.decode()
    assert "alice" in page
    assert "a-operator" in page


def test_regions_are_cut_out_whole() -> None:
    inner = '<div>a<div id="x" data-live>b</div></div>'
    page = (
        f'<p>no</p><div class="y" data-live id="one">{inner}</div><i>no</i><ul id="two" data-live><li>c</ul><b>no</b>'
    )
    assert live_regions(page) == (f'<div class="y" data-live id="one">{inner}</div>\n<ul id="two" data-live><li>c</ul>')
    assert live_regions("<div data-lively>no</div><p>data-live</p>") == ""
