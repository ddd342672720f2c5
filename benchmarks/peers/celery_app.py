"""The plain Celery way: a task per engagement, the user hashed to one of eight queues, a process for each queue, and a
row updated in PostgreSQL per task."""

import os
import time

import psycopg
import requests
from celery import Celery

app = Celery("plain", broker=os.environ["PLAIN_BROKER"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=64,
    broker_connection_retry_on_startup=True,
)

SETTLE = "UPDATE item SET began = %s, ended = clock_timestamp(), worker = %s WHERE id = %s"
_connection: psycopg.Connection | None = None
_session = requests.Session()


@app.task(name="deliver")
def deliver(id: int, user: str, n: int) -> None:
    global _connection
    if _connection is None:
        _connection = psycopg.connect(os.environ["PLAIN_POSTGRES"], autocommit=True)
    began = time.time()
    if os.environ["PLAIN_WORK"] == "sleep":
        time.sleep(float(os.environ["PLAIN_MS"]) / 1000)
    elif os.environ["PLAIN_WORK"] == "http":
        _session.post(os.environ["PLAIN_RECEIVER"], json={"user_id": user, "n": n}, timeout=30).raise_for_status()
    _connection.execute(SETTLE, [began, os.getpid(), id])
