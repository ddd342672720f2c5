"""The embedded servers serve, keep what they were given, and leave nothing behind."""

import pytest
import redis
from django.db import connection

from tests.support.brokers import Broker


@pytest.mark.django_db
def test_django_uses_a_postgresql_that_commits_durably() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('synchronous_commit'), current_setting('server_version_num')::int")
        commit, version = cursor.fetchone()
    assert commit == "on"
    assert version >= 150000


def test_every_broker_answers(broker: Broker) -> None:
    if broker.name != "rabbitmq":
        assert redis.Redis.from_url(broker.url).ping()
