"""Each part works as the user that docs/operations.md makes for it, and that user may do no more."""

import os
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import redis

from tests.support.brokers import running_broker
from tests.support.client import Api, engagement
from tests.support.databases import Databases
from tests.support.documented import block
from tests.support.servers import Servers
from tests.support.system import System, Systems
from tests.support.up import until

DOCUMENT = "operations.md"
PARTS = ("owner", "web", "worker", "monitor")
WORKER = "w1@rights"
SECONDS = 60
"""For what takes a second or two on a machine that does nothing else."""


class Roles:
    """The documented roles under names of this test, in a database of its own."""

    def __init__(self, databases: Databases) -> None:
        self.admin_url = databases.empty()
        self.database = urlsplit(self.admin_url).path.removeprefix("/")
        self.prefix = f"t{secrets.token_hex(4)}_"
        self.password = secrets.token_hex(16)

    def run(self, title: str, url: str) -> None:
        """Run a block of the document as it is, but for names and passwords."""
        text = re.sub(r"\bdelivery_(?=[a-z])", self.prefix, block(DOCUMENT, title))
        text = re.sub(r"\bDATABASE delivery\b", f'DATABASE "{self.database}"', text)
        text = re.sub(r"PASSWORD '[^']*'", f"PASSWORD '{self.password}'", text)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(text.encode())

    def url(self, part: str) -> str:
        address = urlsplit(self.admin_url)
        return address._replace(
            netloc=f"{self.prefix}{part}:{self.password}@{address.netloc.rpartition('@')[2]}"
        ).geturl()

    def drop(self) -> None:
        postgres = urlsplit(self.admin_url)._replace(path="/postgres").geturl()
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{self.database}" WITH (FORCE)'.encode())
            for part in PARTS:
                connection.execute(f"DROP ROLE {self.prefix}{part}".encode())


@pytest.fixture(scope="module")
def roles(databases: Databases) -> Iterator[Roles]:
    made = Roles(databases)
    made.run("roles", made.admin_url)
    yield made
    made.drop()


@pytest.fixture(scope="module")
def broker_url(systems: Systems) -> str:
    """A Valkey with the documented user only."""
    url = systems.valkey().url
    password = secrets.token_hex(16)
    client = redis.Redis.from_url(url)
    for line in block(DOCUMENT, "redis acl").strip().splitlines():
        _, name, *rules = line.replace(">choose-one", f">{password}").split()
        assert client.execute_command("ACL", "SETUSER", name, *rules) in (True, b"OK")  # type: ignore[no-untyped-call]
    client.close()
    return url.replace("redis://:", "redis://delivery:").replace(urlsplit(url).password or "", password)


def start(system: System, databases: dict[str, str], brokers: dict[str, str]) -> None:
    """As System.start, each part with its own addresses; commands run as web."""

    def become(part: str) -> None:
        system.environment = {**system.environment, "DATABASE_URL": databases[part], "BROKER_URL": brokers[part]}

    system.directory.mkdir(parents=True, exist_ok=True)
    become("worker")
    system.start_worker(WORKER, wait=False)
    become("beat")
    system.start_beat(wait=False)
    become("web")
    system.start_web(wait=False)
    system.api = Api(
        f"http://127.0.0.1:{system.port}", system.manage("create_api_key", "x", "--role", "operator").strip()
    )
    system.wait_for_web()
    system.wait_for_workers(WORKER)


@pytest.fixture(scope="module")
def system(systems: Systems, roles: Roles, broker_url: str) -> System:
    limits = {"RATE_LIMIT_REQUESTS_PER_SECOND": "1000", "RATE_LIMIT_ENGAGEMENTS_PER_SECOND": "1000"}
    made = systems.new(database_url=roles.url("owner"), broker_url=broker_url, **limits)
    made.directory.mkdir(parents=True, exist_ok=True)
    made.manage("migrate", "--verbosity", "0")
    roles.run("rights", roles.url("owner"))
    databases = {"web": roles.url("web"), "worker": roles.url("worker"), "beat": ""}
    start(made, databases, dict.fromkeys(databases, broker_url))
    return made


@pytest.fixture
def unrefused(system: System) -> Iterator[None]:
    """Afterwards no part has been refused anything."""
    yield
    assert refusals(system) == []


def refusals(system: System) -> list[str]:
    words = ("permission denied", "NOPERM", "ACCESS_REFUSED", "access_refused", "must be owner")
    return [
        line for part in system.parts for line in system.log(part).splitlines() if any(word in line for word in words)
    ]


def delivered(api: Api, user: str, **fields: str) -> str:
    id = str(api.post(user, **fields)["id"])
    until(lambda: api.status(id) == "delivered", seconds=SECONDS, what=f"{user}'s is delivered")
    return id


@pytest.mark.usefixtures("unrefused")
def test_everything_is_delivered_and_operated(system: System) -> None:
    api = system.api
    delivered(api, "ann")
    parent = delivered(api, "bob")
    api.bulk([engagement(f"user-{number % 3}", causal_parent=parent) for number in range(20)])
    delivered(api, "ann", unordered=True)  # type: ignore[arg-type]
    api.set_timeout("ann", 60)
    api.pause("ann")
    waits, skipped, purged = (str(api.post("ann")["id"]) for _ in range(3))
    api.skip("ann", waits)
    api.resume("ann")
    until(lambda: api.status(purged) == "delivered", seconds=SECONDS, what="it goes on")
    assert (api.status(waits), api.status(skipped)) == ("purged", "delivered")
    api.pause("ann")
    api.post("ann")
    assert api.purge("ann") == 1
    api.resume("ann")
    api.end_session("ann")
    api.ask("POST", "/queues/pause/")
    held = str(api.post("cleo", timeout_seconds=1)["id"])
    api.ask("POST", "/queues/resume/")
    until(lambda: api.status(held) == "delivered", seconds=SECONDS, what="everything goes on")
    for queue in ("unordered", f"deliver.{WORKER}"):
        api.ask("POST", f"/queues/{quote(queue)}/purge/")
    api.create_channel("crm", "webhook", "https://192.88.99.1/")
    api.ask("POST", "/channels/crm/rotate-secret/")
    assert api.ask("GET", "/pipelines/ann/order-proof/")["holds"]


@pytest.mark.usefixtures("unrefused")
def test_what_expires_is_swept_replayed_and_cleared_away(system: System, roles: Roles) -> None:
    api = system.api
    system.parts[WORKER].stop()
    id = str(api.post("dora", timeout_seconds=0.01)["id"])
    system.environment["DATABASE_URL"] = roles.url("worker")
    code = "from workers import tasks; tasks.sweep(); tasks.resume(); tasks.delete_old()"
    system.python(code)
    assert api.status(id) == "expired"
    system.start_worker(WORKER)
    system.environment["DATABASE_URL"] = roles.url("web")
    api.replay(id)
    until(lambda: api.status(id) != "pending", seconds=SECONDS, what="the replayed one is settled, whoever is faster")
    system.python(code, settings={"RETENTION_DAYS": "0", "DATABASE_URL": roles.url("worker")})
    assert api.call("GET", f"/engagements/{id}/").status == 404


BEGIN_ON_MANY = """
from engagements import operations
for action, keys in (("pause", ["fay", "gus", "new"]), ("resume", ["fay"]), ("purge", ["gus"]), ("replay", [{id!r}])):
    made = operations.prepare(action, keys, scope="many", actor="x", selected=True)
    operations._begin(made.token, shown=made.shown, actor="x", reason="a test")
"""

GO_ON_WITH_MANY = """
from engagements import operations
from engagements.models import Operation
while operations.go_on(seconds=5):
    pass
assert not Operation.objects.exclude(problem=""), Operation.objects.values("action", "problem")
assert not operations.running()
"""


@pytest.mark.usefixtures("unrefused")
def test_what_web_began_on_many_is_ended_by_a_worker(system: System, roles: Roles) -> None:
    id = delivered(system.api, "gus")
    system.python(BEGIN_ON_MANY.format(id=id), settings={"DATABASE_URL": roles.url("web")})
    system.python(GO_ON_WITH_MANY, settings={"DATABASE_URL": roles.url("worker")})


@pytest.mark.usefixtures("unrefused")
def test_the_console_works(system: System) -> None:
    admin = system.admin()
    admin.add_engagement("eve", channel="log")
    for page in (
        "",
        "engagements/engagement/",
        "engagements/pipeline/",
        "engagements/channel/",
        "engagements/auditentry/",
        "engagements/worker/",
        "engagements/engagement/export/",
        "engagements/pipeline/eve/change/",
    ):
        admin.open(f"/admin/{page}")
    lines = '{"user_id": "eve", "payload": {}}\n' * 3
    preview = admin.send("/admin/engagements/engagement/import/", text=lines)
    admin.send(preview, confirm="1")
    name, password = "somebody", secrets.token_hex(12)
    page = admin.send(
        "/admin/auth/user/add/", username=name, password1=password, password2=password, usable_password="true"
    )
    admin.send(page.replace("change", "delete"), post="yes")
    system.manage("revoke_api_keys", "x")
    system.api.headers["Authorization"] = f"Bearer {system.manage('create_api_key', 'y', '--role', 'operator').strip()}"
    assert system.manage("verify_order").startswith("Order verified")
    assert "engagements_accepted_total" in admin.open("/metrics")
    assert "ready" in admin.open("/readyz")


FORBIDDEN = {
    "web": [
        "UPDATE engagements_auditentry SET actor = 'nobody'",
        "DELETE FROM engagements_auditentry",
        "DELETE FROM engagements_engagement",
        "DELETE FROM engagements_attempt",
        "DELETE FROM engagements_operation",
        "UPDATE engagements_attempt SET answer = ''",
        "UPDATE engagements_worker SET heartbeat_at = now()",
        "INSERT INTO auth_permission (name, content_type_id, codename) VALUES ('x', 1, 'x')",
        "DELETE FROM django_migrations",
    ],
    "worker": [
        "SELECT password FROM auth_user",
        "SELECT digest FROM knox_authtoken",
        "SELECT session_data FROM django_session",
        "SELECT * FROM engagements_auditentry",
        "DELETE FROM engagements_auditentry",
        "UPDATE engagements_auditentry SET actor = 'nobody'",
        "INSERT INTO engagements_engagement SELECT * FROM engagements_engagement",
        "UPDATE engagements_channel SET url = 'https://evil.example/'",
        "INSERT INTO auth_user_groups (user_id, group_id) VALUES (1, 1)",
        "UPDATE engagements_attempt SET answer = ''",
    ],
    "monitor": [
        "SELECT payload FROM engagements_engagement",
        "SELECT * FROM engagements_engagement",
        "SELECT last_error FROM engagements_engagement",
        "SELECT secret FROM engagements_channel",
        "SELECT answer FROM engagements_attempt",
        "SELECT password FROM auth_user",
        "SELECT digest FROM knox_authtoken",
        "SELECT text FROM engagements_importfile",
        "UPDATE engagements_pipeline SET paused_at = now()",
    ],
}
NOBODY_MAY = [
    "ALTER TABLE engagements_auditentry DISABLE TRIGGER ALL",
    "DROP TRIGGER engagements_audit_stays ON engagements_auditentry",
    "TRUNCATE engagements_auditentry",
    "TRUNCATE engagements_engagement",
    "DROP TABLE engagements_engagement",
    "ALTER TABLE engagements_engagement ADD COLUMN x int",
    "CREATE TABLE x (y int)",
    "CREATE TEMPORARY TABLE x (y int)",
    "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT setval('engagements_arrival', 1)",
    "CREATE ROLE x",
    "SET session_replication_role = replica",
    "COPY engagements_pipeline TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
]


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("part", list(FORBIDDEN))
def test_a_part_may_do_nothing_else(roles: Roles, part: str) -> None:
    allowed = []
    for statement in (*FORBIDDEN[part], *NOBODY_MAY):
        with psycopg.connect(roles.url(part)) as connection:
            try:
                connection.execute(statement.encode())
                allowed.append(statement)
            except psycopg.errors.InsufficientPrivilege:
                pass
            connection.rollback()
    assert allowed == []


def test_whoever_looks_sees_how_things_stand(system: System, roles: Roles) -> None:
    delivered(system.api, "ann")
    with psycopg.connect(roles.url("monitor")) as connection:
        for statement in (
            "SELECT status, count(*) FROM engagements_engagement GROUP BY status",
            "SELECT * FROM engagements_pipeline",
            "SELECT name, kind, active FROM engagements_channel",
            "SELECT * FROM engagements_worker",
        ):
            assert connection.execute(statement.encode()).fetchall()


@pytest.mark.usefixtures("system")
def test_every_table_is_named_in_the_rights(roles: Roles) -> None:
    """So that whoever adds one decides who may do what with it; these are written by migrations alone."""
    with psycopg.connect(roles.url("owner")) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    named = set(re.findall(r"\w+", block(DOCUMENT, "rights")))
    assert {table for (table,) in found} - named == {"django_content_type", "auth_permission"}


@pytest.mark.usefixtures("system")
def test_the_audit_is_refused_even_to_its_owner(roles: Roles) -> None:
    with psycopg.connect(roles.url("owner")) as connection, pytest.raises(psycopg.errors.IntegrityError):
        connection.execute("DELETE FROM engagements_auditentry")


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "CONFIG GET *",
        "ACL LIST",
        "SHUTDOWN",
        "GET elsewhere",
        "SET elsewhere 1",
        "CLIENT LIST",
    ],
)
def test_the_broker_s_user_may_nothing_but_its_queues(broker_url: str, command: str) -> None:
    client = redis.Redis.from_url(broker_url)
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]
    client.close()


@pytest.fixture(scope="module")
def rabbitmq(servers: Servers) -> Iterator[dict[str, str]]:
    """Part → its address, in a virtual host of this test's own made by the documented commands."""
    if not shutil.which("rabbitmqctl"):
        assert os.environ.get("CI") != "true", "rabbitmqctl is not installed"
        pytest.skip("rabbitmqctl is not here, by which users of RabbitMQ are made")
    [broker] = running_broker("rabbitmq", servers)
    tag, password = f"t{secrets.token_hex(4)}", secrets.token_hex(16)
    commands = block(DOCUMENT, "rabbitmq").replace("\\\n", " ").splitlines()
    for line in commands:
        if line.startswith("#"):
            continue
        words = [re.sub(r"^delivery(?=$|_)", tag, word) for word in shlex.split(line)]
        if words[1] == "add_user":
            words[3] = password
        subprocess.run(words, check=True, capture_output=True, timeout=60)
    host = urlsplit(broker.url).netloc.rpartition("@")[2]
    yield {part: f"amqp://{tag}_{part}:{password}@{host}/{tag}" for part in ("web", "worker", "beat")}
    for part in ("web", "worker", "beat"):
        subprocess.run(["rabbitmqctl", "delete_user", f"{tag}_{part}"], check=False, capture_output=True, timeout=60)
    subprocess.run(["rabbitmqctl", "delete_vhost", tag], check=False, capture_output=True, timeout=60)


def test_the_parts_work_as_their_users_of_rabbitmq(
    systems: Systems, databases: Databases, rabbitmq: dict[str, str]
) -> None:
    database = databases.migrated()
    system = systems.new(database_url=database, broker_url=rabbitmq["web"])
    start(system, {"web": database, "worker": database, "beat": ""}, rabbitmq)
    api = system.api
    delivered(api, "ann")
    delivered(api, "ann", unordered=True)  # type: ignore[arg-type]
    assert {queue["broker_depth"] for queue in api.queues().values()} == {0}
    assert refusals(system) == []
