"""The web server in a process of its own: what the test client cannot show, such as encoded paths and large bodies."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deliveryproject.local.ports import free_port
from tests.support.databases import CHECKOUT


class Server:
    """A web server process and a key for it."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> tuple[int, str, Any]:
        """Status, content type and parsed body; the target goes out as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            sent = {"Authorization": f"Bearer {self.key}", **headers}
            if body is not None:
                sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **sent}
            for name, value in sent.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            response = connection.getresponse()
            text = response.read()
            return response.status, response.headers["Content-Type"], json.loads(text) if text else None
        finally:
            connection.close()


def make_key(environment: Mapping[str, str], name: str, role: str) -> str:
    """A new API key, made by the command."""
    command = [sys.executable, "manage.py", "create_api_key", name, "--role", role]
    made = subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True)
    return made.stdout.strip()


@contextmanager
def web_process(environment: Mapping[str, str], port: int | None = None) -> Iterator[int]:
    """A server that listens; its port."""
    port = port or free_port()
    command = [sys.executable, "-m", "uvicorn", "deliveryproject.asgi:application", "--port", str(port)]
    server = subprocess.Popen([*command, "--log-level", "warning"], cwd=CHECKOUT, env=environment)
    try:
        limit = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, "the web server ended"
                assert time.monotonic() < limit
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def serving(database_url: str, broker_url: str, *, role: str = "operator", **settings: str) -> Iterator[Server]:
    """A server on this database with a key of this role; settings: environment variables of the process."""
    environment = {**os.environ, "DATABASE_URL": database_url, "BROKER_URL": broker_url, **settings}
    key = make_key(environment, "wire", role)
    with web_process(environment) as port:
        yield Server(port, key)
