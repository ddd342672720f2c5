"""The Celery application: wake-ups, the beat schedule and operations. PostgreSQL holds everything else."""

import os
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from django.conf import settings

from deliveryproject import no_broker
from workers.setup import install

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deliveryproject.settings")

BROKER_TIMEOUT_SECONDS = 2.0
"""How long one step towards the broker may take: who posts an engagement must not wait for a broken one."""

WAKE_UP_VISIBILITY_SECONDS = 60
"""When Redis hands out again what a killed worker had fetched; short: a wake-up may be repeated freely."""


def _transport_options(broker_url: str) -> dict[str, Any]:
    """Time-outs and liveness checks, in the words of the transport that the URL names."""
    scheme = urlsplit(broker_url).scheme.partition("+")[0]
    if scheme in ("redis", "rediss", "valkey", "valkeys", "sentinel"):
        return {
            "socket_connect_timeout": BROKER_TIMEOUT_SECONDS,
            # Longer than a blocking pop (1 s) and short enough to notice a half-open socket.
            "socket_timeout": 3.0,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "visibility_timeout": WAKE_UP_VISIBILITY_SECONDS,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        }
    if scheme in ("amqp", "amqps", "pyamqp"):
        # A RabbitMQ under an alarm stops reading; without write_timeout a publisher then hangs for ever.
        # The read_timeout is longer than the heartbeat, or an idle connection would look dead.
        return {"read_timeout": 30, "write_timeout": BROKER_TIMEOUT_SECONDS}
    return {}


def broker_settings() -> dict[str, Any]:
    """Everything that does not depend on what is delivered."""
    broker_url: str = settings.BROKER_URL
    return dict(  # noqa: C408 - the names are Celery's settings
        broker_url=broker_url or no_broker.URL,
        broker_connection_timeout=BROKER_TIMEOUT_SECONDS,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        # Never given up: a worker goes on delivering by its poll until the broker is back.
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_heartbeat=10,
        broker_pool_limit=10,
        broker_pool_acquire_timeout=BROKER_TIMEOUT_SECONDS,
        broker_transport_options=_transport_options(broker_url),
        task_publish_retry=True,
        # One quick second try takes care of a connection that died while idle; the poll finds what is lost.
        task_publish_retry_policy={
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.1,
        },
        task_ignore_result=True,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_backend=None,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        # Whoever can publish could stop workers by it. Signals stop them, and the console shows them.
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
        timezone="UTC",
    )


app = Celery("deliveryproject")
# Read at first use: Django's settings are not complete while this package is imported.
app.add_defaults(broker_settings)
install(app)
app.autodiscover_tasks()
