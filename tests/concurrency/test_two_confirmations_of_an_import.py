"""A file of engagements is confirmed twice at the same moment: by a double click, or after a time-out of the proxy."""

import pytest

from engagements import imports
from engagements.models import AuditEntry, Engagement
from engagements.store.connection import fetch
from tests.support.store import Connect, in_thread, until


def test_two_confirmations_share_the_batches_and_each_line_is_stored_once_in_order(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BULK_LIMIT", 3)
    observer, holder = connect(), connect()
    text = "user_id,payload.n\n" + "".join(f"ada,{n}\n" for n in range(20))
    file = imports.hand_in(text, name="some.csv", actor="root")
    waiting = """
    SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND a.datname = current_database() AND a.query LIKE '%importfile%'
    """

    with holder.transaction():
        fetch(holder, "SELECT 1 FROM engagements_importfile WHERE token = %s FOR UPDATE", [file.token])
        clicks = [in_thread(lambda: imports.store(file.token, actor="root")) for _ in range(2)]
        until(lambda: len(fetch(observer, waiting)) == 2, "both confirmations wait for the file")

    for click in clicks:
        done = click.result(timeout=30)
        assert (done.created, done.duplicates, done.stored) == (20, 0, 20)
    stored = [row.payload["n"] for row in Engagement.objects.order_by("arrival")]
    assert stored == [str(n) for n in range(20)]
    assert AuditEntry.objects.count() == 1
