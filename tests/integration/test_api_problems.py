"""Whatever goes wrong under /api/ is a problem document."""

import json

import pytest
from django.test import Client, RequestFactory

from engagements.api import errors
from engagements.api.errors import PROBLEM_TYPE, STATUS_OF, problem_of
from engagements.domain.errors import EngagementsError, Invalid
from engagements.store.connection import current
from tests.support.api import PROBLEM_FIELDS, Caller

pytestmark = pytest.mark.django_db


def all_errors(cls: type[EngagementsError] = EngagementsError) -> set[type[EngagementsError]]:
    return {sub for direct in cls.__subclasses__() for sub in {direct, *all_errors(direct)}}


def test_every_domain_error_has_its_status_in_the_table() -> None:
    """Its own, or that of what it is a kind of."""
    assert set(STATUS_OF) <= all_errors()
    assert [error for error in all_errors() if not issubclass(error, tuple(STATUS_OF))] == []


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/api/", 404),
        ("GET", "/api/v2/engagements/", 404),
        ("GET", "/api/v1/", 404),
        ("GET", "/api/v1/nothing/", 404),
        ("POST", "/api/v1/engagements", 404),
        ("GET", "/api/v1/engagements", 404),
        ("GET", "/api/v1/engagements//", 404),
        ("GET", "/api/v1/pipelines//", 404),
        ("GET", "/api/v1/pipelines/a", 404),
        ("POST", "/api/v1/pipelines/a/explode/", 405),
        ("GET", "/api/v1/channels/a/b/", 404),
        ("GET", "/api/v1/%FF/", 404),
        ("GET", "/api/v1/é/%00", 404),
        ("GET", "/api/docs/x/", 404),
        ("DELETE", "/api/v1/engagements/", 405),
        ("PUT", "/api/v1/channels/log/", 405),
        ("OPTIONS", "/api/v1/engagements/", 405),
        ("TRACE", "/api/v1/queues/", 405),
        ("GET", "/api/v1/pipelines/a/purge/", 405),
        ("POST", "/api/schema/", 405),
    ],
)
def test_an_unknown_path_or_method(method: str, address: str, status: int) -> None:
    caller = Caller("operator")
    response = Client().generic(method, address, headers={"Authorization": f"Bearer {caller.key}"})
    assert response.status_code == status
    assert response.headers["Content-Type"] == PROBLEM_TYPE
    document = json.loads(response.content)
    assert set(document) == PROBLEM_FIELDS
    assert document["status"] == status
    if status == 405:
        assert method not in response.headers["Allow"]


def test_a_path_without_its_slash_says_so() -> None:
    response = Client().post("/api/v1/engagements", {}, content_type="application/json")
    assert "ends with a slash" in response.json()["detail"]


def test_outside_of_the_api_pages_stay_pages() -> None:
    response = Client().get("/nothing")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_foreign_host_is_refused() -> None:
    for address in ("/api/v1/engagements/", "/healthz", "/admin/"):
        response = Client().get(address, headers={"Host": "evil.example"})
        assert response.status_code == 400
    assert (
        Client().get("/api/v1/engagements/", headers={"Host": "evil.example"}).headers["Content-Type"] == PROBLEM_TYPE
    )


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png;q=1"])
def test_an_answer_that_is_not_accepted_is_406(accept: str) -> None:
    assert Caller("viewer").get("engagements/", headers={"Accept": accept}).status == 406


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", "text/html, */*;q=0.1"])
def test_json_is_answered_to_whoever_accepts_it(accept: str) -> None:
    assert Caller("viewer").get("engagements/", headers={"Accept": accept}).type == "application/json"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
def test_a_body_that_is_no_json_by_its_own_word_is_415(content_type: str) -> None:
    answer = Caller().post("engagements/", b'{"user_id": "a", "payload": {}}', content_type=content_type)
    assert answer.status == 415


def test_json_with_a_charset_is_read() -> None:
    body = {"user_id": "é", "payload": {}}
    answer = Caller().post("engagements/", body, content_type="application/json; charset=utf-8")
    assert answer.status == 201


def test_an_action_needs_no_body_and_no_content_type() -> None:
    assert Caller("operator").post("pipelines/a/pause/", content_type="").status == 200


def fail_to_store(sqlstate: str) -> None:
    """Let PostgreSQL fail on storing an engagement, until the test's transaction is rolled back."""
    current().execute(
        f"""
        CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'private matter' USING ERRCODE = '{sqlstate}'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON engagements_engagement FOR EACH ROW EXECUTE FUNCTION pg_temp.fail()
        """
    )


ADMIN_SHUTDOWN = "57P01"
TOO_MANY_CONNECTIONS = "53300"
INTERNAL_ERROR = "XX000"


@pytest.mark.parametrize("sqlstate", [ADMIN_SHUTDOWN, TOO_MANY_CONNECTIONS])
def test_a_database_that_is_away_is_503_with_a_time_to_come_back(sqlstate: str) -> None:
    caller = Caller()
    fail_to_store(sqlstate)
    answer = caller.post("engagements/", {"user_id": "a", "payload": {}})
    assert answer.status == 503
    assert answer.response.headers["Retry-After"] == "2"
    assert "private" not in answer.response.content.decode()


def test_a_failure_of_the_server_is_500_and_says_nothing_of_its_cause() -> None:
    caller = Caller()
    fail_to_store(INTERNAL_ERROR)
    answer = caller.post("engagements/", {"user_id": "a", "payload": {}})
    assert answer.status == 500
    assert "private" not in answer.response.content.decode()


def test_the_handlers_of_django_answer_problems_below_api_only() -> None:
    api, page = RequestFactory().get("/api/x"), RequestFactory().get("/x")
    assert errors.handler500(api).headers["Content-Type"] == PROBLEM_TYPE
    assert errors.handler500(page).headers["Content-Type"].startswith("text/html")
    assert errors.handler403(api, Exception()).status_code == 403
    assert errors.handler403(page, Exception()).headers["Content-Type"].startswith("text/html")


def test_a_document_lists_the_fields() -> None:
    error = Invalid.field("user_id", "is required")
    assert problem_of(error) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "user_id: is required",
        "errors": [{"field": "user_id", "detail": "is required"}],
    }
