"""An engine's database lane in a simulation: the same statements, on the simulation's connection, with a network."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import psycopg

from engagements.store.connection import Connection
from workers.engine.lane import Lane


class Network(Protocol):
    """What lies between a worker and PostgreSQL."""

    def delay(self) -> float:
        """Seconds that a request or an answer takes."""

    def request_lost(self, lane: str) -> bool:
        """Whether this lane's connection breaks before the statement arrives."""

    def answer_lost(self, lane: str) -> bool:
        """Whether it breaks after the commit."""

    def connection(self) -> Connection:
        """PostgreSQL at this moment."""

    def committed(self, answer: Any) -> None:
        """A statement's answer is on its way; it may be lost yet."""


class SimulatedLane(Lane):
    """Runs one call after the other. Each is one moment in PostgreSQL; the ways there and back take time."""

    def __init__(self, name: str, network: Network) -> None:
        self._name = name
        self._network = network
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async with self._turn:
            await asyncio.sleep(self._network.delay())
            if self._network.request_lost(self._name):
                raise psycopg.OperationalError("simulated: the connection broke on the way there")
            answer = work(self._network.connection(), *args, **kwargs)
            self._network.committed(answer)
            await asyncio.sleep(self._network.delay())
            if self._network.answer_lost(self._name):
                raise psycopg.OperationalError("simulated: the connection broke on the way back")
            return answer

    async def close(self) -> None:
        """The connection is the simulation's."""
