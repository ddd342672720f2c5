"""The demo's verdict is no when something did not end as it should."""

from io import StringIO

import pytest

from engagements import channels
from engagements.management.demo.screen import Screen
from engagements.management.demo.stage import CHANNEL, KIND, Cast, Stage
from engagements.management.demo.verdict import show_verdict

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
def output() -> StringIO:
    return StringIO()


@pytest.fixture
def stage(output: StringIO) -> Stage:
    channels.create(CHANNEL, KIND, actor="test")
    return Stage(Screen(output), Cast("demo-test."), pause=0)


def test_what_no_worker_delivered_is_named(stage: Stage, output: StringIO) -> None:
    stage.post("ada", "left lying")
    assert not show_verdict(stage, stage.screen)
    assert "NO" in output.getvalue()
    assert "ada: 'left lying' is pending; nothing kept it from being delivered" in output.getvalue()


def test_what_ended_as_expected_is_not(stage: Stage, output: StringIO) -> None:
    stage.post("ada", "left lying", ends="pending")
    assert show_verdict(stage, stage.screen)
    assert "NO" not in output.getvalue()
