"""A client of the HTTP API, as a producer's or an operator's program would have one. It knows the contract only."""

import http.client
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid4

PREFIX = "/api/v1"

TIMEOUT_SECONDS = 30.0
"""Of one step of one call; a test that promises less measures it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call was answered."""

    status: int
    body: Any
    """The parsed JSON; None when there was none."""


class Api:
    """The API at `url`, used with one key. Usable from several threads: every call has a connection of its own."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._address = urlsplit(url)
        self.port = self._address.port
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> Reply:
        """One call; the path is given without its prefix. Raises OSError or HTTPException when there is no answer."""
        connection = http.client.HTTPConnection(
            str(self._address.hostname), self._address.port, timeout=TIMEOUT_SECONDS
        )
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, PREFIX + path, data, self.headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        try:
            return Reply(response.status, json.loads(text) if text else None)
        except ValueError:
            return Reply(response.status, {"text": text.decode(errors="replace")[:500]})

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The body of a call that must succeed."""
        reply = self.call(method, path, body)
        assert 200 <= reply.status < 300, f"{method} {path}: {reply.status} {reply.body}"
        return reply.body

    # --- Engagements ---

    def post(self, user: str, **fields: Any) -> Any:
        """Post one engagement; the answer to it. It has an id of ours and an empty payload unless told otherwise."""
        return self.ask("POST", "/engagements/", engagement(user, **fields))

    def bulk(self, engagements: Sequence[Mapping[str, Any]]) -> list[str]:
        """Post these, all of which must be accepted; their ids in order."""
        body = self.ask("POST", "/engagements/bulk/", {"engagements": list(engagements)})
        results = body["results"]
        assert [result["index"] for result in results] == list(range(len(engagements)))
        refused = [result for result in results if result["status"] == "refused"]
        assert not refused, refused[:3]
        return [str(result["id"]) for result in results]

    def engagement(self, id: str) -> Any:
        return self.ask("GET", f"/engagements/{id}/")

    def status(self, id: str) -> str:
        return str(self.engagement(id)["status"])

    def engagements(self, **filters: str) -> Iterator[Any]:
        """Every engagement that the filters let through, page by page."""
        return self._pages("/engagements/", filters)

    def replay(self, id: str) -> Any:
        return self.ask("POST", f"/engagements/{id}/replay/")

    # --- Pipelines ---

    def pipeline(self, user: str) -> Any:
        return self.ask("GET", self._pipeline(user))

    def pipelines(self) -> Iterator[Any]:
        return self._pages("/pipelines/", {})

    def worker_of(self, user: str) -> str:
        """The worker that this user's pipeline is pinned to."""
        return str(self.pipeline(user)["worker"])

    def pinned(self, users: Collection[str]) -> dict[str, str | None]:
        """User → worker, of these users; None without a session."""
        wanted = set(users)
        return {one["user_id"]: one["worker"] for one in self.pipelines() if one["user_id"] in wanted}

    def set_timeout(self, user: str, seconds: float | None) -> None:
        self.ask("PATCH", self._pipeline(user), {"timeout_seconds": seconds})

    def pause(self, user: str) -> None:
        self.ask("POST", self._pipeline(user) + "pause/")

    def resume(self, user: str) -> None:
        self.ask("POST", self._pipeline(user) + "resume/")

    def purge(self, user: str) -> int:
        return int(self.ask("POST", self._pipeline(user) + "purge/")["purged"])

    def end_session(self, user: str) -> None:
        self.ask("POST", self._pipeline(user) + "end-session/")

    def skip(self, user: str, id: str) -> None:
        self.ask("POST", self._pipeline(user) + "skip/", {"id": id})

    # --- Queues and channels ---

    def queues(self) -> dict[str, Any]:
        """Queue by name."""
        return {queue["name"]: queue for queue in self._pages("/queues/", {})}

    def workers_alive(self) -> set[str]:
        return {queue["worker"] for queue in self.queues().values() if queue["worker"] and queue["alive"]}

    def create_channel(self, name: str, kind: str, url: str = "") -> str:
        """The channel's signing secret."""
        return str(self.ask("POST", "/channels/", {"name": name, "kind": kind, "url": url})["secret"])

    def _pipeline(self, user: str) -> str:
        return f"/pipelines/{quote(user, safe='')}/"

    def _pages(self, path: str, filters: Mapping[str, str]) -> Iterator[Any]:
        next_page: str | None = path + (f"?{urlencode(filters)}" if filters else "")
        while next_page:
            page = self.ask("GET", next_page)
            yield from page["results"]
            following = page["next"]
            next_page = None
            if following:
                address = urlsplit(following)
                next_page = f"{address.path.removeprefix(PREFIX)}?{address.query}"


def engagement(user: str, **fields: Any) -> dict[str, Any]:
    """The fields of one engagement. UUIDs may be given as such, and times by their isoformat."""
    given = {name: str(value) if isinstance(value, UUID) else value for name, value in fields.items()}
    return {"id": str(uuid4()), "user_id": user, "payload": {}, **given}
