"""What the observer needs, read from the receiver and the API of a test: no more than anybody outside could see."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.client import Api
from tests.support.observer import Request, Told
from tests.support.observer.history import SECOND, moment
from tests.support.receiver import Receiver


def requests_seen(receiver: Receiver) -> list[Request]:
    """Every engagement's request that this receiver has recorded; one still open ends now."""
    now = time.monotonic()
    ahead = time.time() - now
    return [
        request_of(
            received.data,
            begun=received.arrived + ahead,
            ended=(received.ended or now) + ahead,
            status=None if received.cut else received.status,
        )
        for received in list(receiver.requests)
        if received.data
    ]


def request_of(data: Mapping[str, Any], *, begun: float, ended: float, status: int | None) -> Request:
    """A request from the `data` of its body; times in seconds since 1970."""
    return Request(
        id=data["id"],
        user_id=data["user_id"],
        sequence=data["sequence"],
        fencing_token=data["fencing_token"],
        attempt=data["attempt"],
        begun_at=round(begun * SECOND),
        ended_at=round(ended * SECOND),
        status=status,
        produced_at=moment(data["produced_at"]),
        causal_parent=data["causal_parent"],
        unordered=data["unordered"],
        late=data["late"],
    )


def told_by(api: Api, users: Iterable[str] = ()) -> dict[str, Told]:
    """Every engagement that the API lists, of these users or of all."""
    pages = [api.engagements(user_id=user) for user in users] or [api.engagements()]
    return {one["id"]: told_of(one) for page in pages for one in page}


def told_of(body: Mapping[str, Any]) -> Told:
    """An engagement as the API writes it."""
    settled_at = body["settled_at"]
    return Told(
        status=body["status"],
        user_id=body["user_id"],
        produced_at=moment(body["produced_at"]),
        received_at=moment(body["received_at"]),
        expires_at=moment(body["expires_at"]),
        settled_at=None if settled_at is None else moment(settled_at),
        sequence=body["sequence"],
        attempts=body["attempts"],
        late=body["late"],
        causal_parent=body["causal_parent"],
        unordered=body["unordered"],
    )
