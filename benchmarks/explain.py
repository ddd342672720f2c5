"""The plans that statements really ran by, prepared or not: auto_explain tells the session that ran them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.errors import Diagnostic

HOT = {"engagements_engagement", "engagements_pipeline", "engagements_attempt"}
"""Tables that grow with the number of engagements or of users."""

_SETTINGS = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_level": "notice",
    "auto_explain.log_format": "json",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_parameter_max_length": "0",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """One statement as it ran. milliseconds: without planning; the instrumentation adds some tens of per cent."""

    sql: str
    milliseconds: float
    plan: dict[str, Any] = field(repr=False)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        return list(_nodes(self.plan))

    @property
    def shape(self) -> str:
        """How the hot tables were read, in short."""
        scans = [
            f"{node['Node Type']} {node.get('Index Name') or node['Relation Name']}"
            for node in self.nodes
            if node.get("Relation Name") in HOT and "Scan" in node["Node Type"]
        ]
        return ", ".join(dict.fromkeys(scans)) or "-"

    @property
    def whole_tables(self) -> list[str]:
        """Hot tables that were read from their beginning to their end."""
        return [
            node["Relation Name"]
            for node in self.nodes
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in HOT and node["Actual Loops"]
        ]

    @property
    def rows_read(self) -> float:
        """Rows that the scans looked at, kept or not, over all loops."""
        kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        return sum(
            float(node["Actual Loops"] * sum(node.get(kind, 0) for kind in kinds))
            for node in self.nodes
            if "Scan" in node["Node Type"] and node.get("Relation Name", node.get("Index Name"))
        )

    @property
    def blocks(self) -> int:
        """Pages looked at, in memory or not."""
        return int(self.plan.get("Shared Hit Blocks", 0) + self.plan.get("Shared Read Blocks", 0))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


@contextmanager
def watched(conn: Connection[Any]) -> Iterator[list[Ran]]:
    """What runs on this connection meanwhile. Needs a superuser, and PostgreSQL's contrib modules."""
    ran: list[Ran] = []

    def note(diagnostic: Diagnostic) -> None:
        found = re.match(r"duration: ([\d.]+) ms  plan:\n(.*)", diagnostic.message_primary or "", re.DOTALL)
        if found:
            told = json.loads(found[2])
            ran.append(Ran(told["Query Text"], float(found[1]), told["Plan"]))

    conn.execute("LOAD 'auto_explain'")
    for name, value in _SETTINGS.items():
        conn.execute("SELECT set_config(%s, %s, false)", [name, value])
    ran.clear()
    conn.add_notice_handler(note)
    try:
        yield ran
        conn.execute("SELECT 1")  # a statement's executor ends with the next one's begin
    finally:
        conn.remove_notice_handler(note)
        conn.execute("SELECT set_config('auto_explain.log_min_duration', '-1', false)")
