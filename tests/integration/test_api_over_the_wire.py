"""The API in a real server process: what the test client cannot show, such as encoded paths and large bodies."""

import http.client
import json
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.console import HOSTILE_USERS
from tests.support.databases import Databases
from tests.support.web import Server, serving

LIMIT = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def server(databases: Databases, broker_url: str) -> Iterator[Server]:
    with serving(databases.migrated(), broker_url) as started:
        yield started


@pytest.mark.parametrize(
    "user", [*HOSTILE_USERS, "a/pause", "a/order-proof", "/", "//", "a/", "/a", "a%2Fb", "+", "a b"]
)
def test_every_user_id_is_reached_by_its_percent_encoded_path(server: Server, user: str) -> None:
    body = json.dumps({"user_id": user, "payload": {}}).encode()
    assert server.ask("POST", "/api/v1/engagements/", body)[0] == 201
    path = f"/api/v1/pipelines/{quote(user, safe='')}/"
    assert server.ask("GET", path)[2]["user_id"] == user
    assert server.ask("GET", f"{path}order-proof/")[2]["user_id"] == user
    paused = server.ask("POST", f"{path}pause/")
    assert (paused[0], paused[2]["user_id"], paused[2]["paused"]) == (200, user, True)
    assert server.ask("POST", f"{path}purge/")[2] == {"purged": 1}


def test_an_encoded_slash_is_not_a_slash(server: Server) -> None:
    assert server.ask("POST", "/api/v1/pipelines/victim%2Fpause/")[0] == 405
    assert server.ask("GET", "/api/v1/pipelines/victim/")[0] == 404
    assert server.ask("POST", "/api/v1/pipelines/victim/pause/")[0] == 200
    assert server.ask("GET", "/api/v1/pipelines/victim%2Fpause/")[0] == 404
    assert server.ask("GET", "/api/v1/pipelines/a/b/")[0] == 404
    assert server.ask("GET", "/api/v1/pipelines/%2e%2e%2Fengagements/")[0] == 404


@pytest.mark.parametrize(
    "target",
    ["/api/v1/pipelines/%FF/", "/api/v1/pipelines/%00/", "/api/v1/pipelines/%", "/api/v1/pipelines/%zz/", "/api/%FF"],
)
def test_odd_bytes_in_a_path_are_answered_by_a_problem(server: Server, target: str) -> None:
    status, content_type, document = server.ask("GET", target)
    assert status == 404
    assert content_type == "application/problem+json"
    assert document["status"] == 404


@pytest.mark.parametrize("query", ["user_id=%FF", "user_id=%ED%A0%80", "%FF=1", "user_id=a%00"])
def test_odd_bytes_in_a_query_are_answered_by_a_problem(server: Server, query: str) -> None:
    status, content_type, _ = server.ask("GET", f"/api/v1/engagements/?{query}")
    assert status in (200, 400)
    assert content_type in ("application/json", "application/problem+json")


def test_links_between_pages_work_as_they_are(server: Server) -> None:
    items = [{"user_id": f"page/{n}", "payload": {}} for n in range(7)]
    server.ask("POST", "/api/v1/engagements/bulk/", json.dumps({"engagements": items}).encode())
    link, seen = f"http://127.0.0.1:{server.port}/api/v1/pipelines/?page_size=3&pending=true", []
    while link:
        status, _, page = server.ask("GET", link.removeprefix(f"http://127.0.0.1:{server.port}"))
        assert status == 200
        seen += [one["user_id"] for one in page["results"]]
        link = page["next"]
    assert [user for user in seen if user.startswith("page/")] == [item["user_id"] for item in items]


def test_a_body_over_the_limit_is_answered_413_without_being_read(server: Server) -> None:
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    head = (
        "POST /api/v1/engagements/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Length: {10**12}\r\n\r\n"
    )
    connection.sendall(head.encode())
    answer = connection.recv(10_000).decode()
    assert answer.startswith("HTTP/1.1 413 ")
    assert "application/problem+json" in answer
    connection.close()


def test_a_chunked_body_over_the_limit_is_cut_off_with_413(server: Server) -> None:
    connection = socket.create_connection(("127.0.0.1", server.port), 20)
    head = (
        "POST /api/v1/engagements/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {server.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connection.sendall(head.encode())
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    try:
        while sent < 20 * LIMIT:
            connection.sendall(chunk)
            sent += 0x10000
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert sent < 20 * LIMIT, "the server took it all"
    connection.close()


def test_a_body_at_the_limit_is_taken(server: Server) -> None:
    body = json.dumps({"user_id": "large", "payload": {}}).encode().ljust(LIMIT)
    assert server.ask("POST", "/api/v1/engagements/", body)[0] == 201
    for excess in (1, LIMIT):
        status, content_type, _ = server.ask("POST", "/api/v1/engagements/", body + b" " * excess)
        assert (status, content_type) == (413, "application/problem+json")


def test_a_foreign_host_and_a_key_with_odd_bytes_are_refused(server: Server) -> None:
    assert server.ask("GET", "/api/v1/engagements/")[0] == 200
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    connection.sendall(b"GET /api/v1/engagements/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert connection.recv(10_000).startswith(b"HTTP/1.1 400 ")
    connection.close()
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    connection.sendall(
        b"GET /api/v1/engagements/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
    )
    assert connection.recv(10_000).startswith(b"HTTP/1.1 401 ")
    connection.close()


def test_the_documentation_s_files_are_served_from_here(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/api/docs/", headers={"Accept": "text/html"})
    page = connection.getresponse().read().decode()
    files = [part.partition('"')[0] for part in page.split('src="')[1:]]
    assert len(files) >= 2
    for file in files:
        connection.request("GET", file.replace("&amp;", "&"))
        response = connection.getresponse()
        response.read()
        assert response.status == 200, file
    connection.close()
