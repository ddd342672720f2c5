"""What the largest body can cost a web process, and that it gets it back."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.databases import Databases
from tests.support.web import Server, serving

LIMIT = 8 * 1024 * 1024
MIB = 1024 * 1024

GROWTH = 450 * MIB
"""For these bodies one after the other; each may wait for the garbage collector while the next is read. Most of it is
short strings. WEB_THREADS bounds how many are read at a time."""

BODIES = {
    "empty lists": b'{"engagements":[' + b"[]," * ((LIMIT - 20) // 3) + b"0]}",
    "empty objects": b'{"engagements":[' + b"{}," * ((LIMIT - 20) // 3) + b"0]}",
    "numbers": b'{"engagements":[' + b"1.5," * ((LIMIT - 20) // 4) + b"0]}",
    "names": b'{"user_id":"a","payload":{' + b",".join(b'"%06x":0' % n for n in range((LIMIT - 40) // 11)) + b"}}",
    "a wide payload": b'{"user_id":"a","payload":{"x":[' + b"[]," * ((LIMIT - 40) // 3) + b"0]}}",
    "as many objects as may be": b'{"engagements":[' + b'{"a":1},' * 499_990 + b" " * 3_000_000 + b"0]}",
    "short strings": b'{"engagements":[' + b'"ab",' * ((LIMIT - 20) // 5) + b"0]}",
    "depth": b"[" * (LIMIT - 1),
    "digits": b'{"user_id":"a","payload":{"x":' + b"9" * (LIMIT - 40) + b"}}",
    "one string": b'{"user_id":"a","payload":{"x":"' + b"y" * (LIMIT - 40) + b'"}}',
    "escapes": b'{"user_id":"a","payload":{"x":"' + rb"\u0416" * ((LIMIT - 40) // 6) + b'"}}',
}


@pytest.fixture(scope="module")
def server(databases: Databases, broker_url: str) -> Iterator[Server]:
    with serving(databases.migrated(), broker_url, role="producer", LOG_LEVEL="ERROR") as started:
        yield started


def process(port: int) -> psutil.Process:
    [found] = [one for one in psutil.Process().children(recursive=True) if str(port) in one.cmdline()]
    return found


def highest(pid: int) -> int:
    """The most memory that the process has had at a time, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_dearest_bodies_cost_a_bounded_amount_of_memory(server: Server) -> None:
    assert server.ask("POST", "/api/v1/engagements/bulk/", b"{}")[0] in (400, 201)
    pid = process(server.port).pid
    before = highest(pid)
    for what, body in BODIES.items():
        assert len(body) <= LIMIT, what
        status, content_type, _ = server.ask("POST", "/api/v1/engagements/bulk/", body)
        assert (status in (400, 413), content_type) == (True, "application/problem+json"), what
        assert highest(pid) - before < GROWTH, f"{what}: {(highest(pid) - before) / MIB:.0f} MiB"
    sys.stdout.write(f"grew by {(highest(pid) - before) / MIB:.0f} MiB\n")
