"""The tables: columns, constraints and indexes. Rules live in domain/ and services.py; every write goes through store/.

Foreign keys of the hot tables carry no database constraint: the check would lock the same channel or worker row from
every insert, and an attempt is never written without its engagement's row lock being held in the same statement.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Func, Q

PENDING = "pending"
FINAL = ["delivered", "expired", "failed", "purged"]


class Channel(models.Model):
    """Where engagements are delivered: a webhook endpoint, the log, or a kind registered by the project."""

    name = models.CharField(max_length=100, primary_key=True)
    kind = models.CharField(max_length=50)
    url = models.CharField(max_length=2000, blank=True, default="")
    secret = models.CharField(max_length=200, blank=True, default="")
    previous_secret = models.CharField(max_length=200, blank=True, default="")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="channel_has_a_name")]

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """One delivery worker process, by its Celery node name. Alive: a heartbeat within 5 s and not stopped."""

    name = models.CharField(max_length=255, primary_key=True)
    incarnation = models.BigIntegerField(default=1, help_text="Grows with every start under this name.")
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "queues and workers"

    def __str__(self) -> str:
        return self.name


class Pipeline(models.Model):
    """One user's ordered stream: who delivers it, how far it has come, and when it wants to be looked at next.

    due_at is null exactly when nothing is pending. In the future it says that nothing can happen before (a retry, the
    reorder window, a parent's deadline); in the past, that work waits or is being done.
    """

    user_id = models.CharField(max_length=200, primary_key=True, db_collation="C")
    worker = models.CharField(max_length=255, null=True, blank=True)
    session_until = models.DateTimeField(null=True, blank=True)
    lease_worker = models.CharField(max_length=255, null=True, blank=True)
    lease_token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    in_service = models.UUIDField(null=True, blank=True, help_text="Engagement marked for its attempt; goes first.")
    attempt = models.IntegerField(default=0, help_text="Number of the running or last attempt of the one in service.")
    sequence = models.BigIntegerField(default=0, help_text="The last number given out.")
    last_order_time = models.DateTimeField(null=True, blank=True)
    depth = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    timeout_seconds = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["user_id"]
        permissions = [("operate_pipeline", "Can pause, resume, skip, purge and end the session of pipelines")]
        constraints = [
            models.CheckConstraint(condition=~Q(user_id=""), name="pipeline_has_a_user"),
            models.CheckConstraint(condition=Q(depth__gte=0), name="pipeline_depth_not_negative"),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True, depth=0) | Q(due_at__isnull=False, depth__gt=0),
                name="pipeline_due_while_pending",
            ),
            models.CheckConstraint(
                condition=Q(lease_worker__isnull=True, lease_until__isnull=True)
                | Q(lease_worker__isnull=False, lease_until__isnull=False),
                name="pipeline_lease_whole",
            ),
            models.CheckConstraint(
                condition=Q(timeout_seconds__isnull=True) | Q(timeout_seconds__gt=0, timeout_seconds__lte=3600),
                name="pipeline_timeout_in_range",
            ),
        ]
        indexes = [
            # The poll and the failover read it; its columns do not change while a pipeline stays busy, so that
            # settling stays a heap-only update.
            models.Index(
                fields=["worker", "due_at"],
                condition=Q(due_at__isnull=False, paused_at__isnull=True),
                name="pipeline_due",
            ),
            models.Index(fields=["user_id"], condition=Q(paused_at__isnull=False), name="pipeline_paused"),
        ]

    def __str__(self) -> str:
        return self.user_id


class GlobalPause(models.Model):
    """Everything is paused while this table's one row is there; store/everything.py says what its columns mean."""

    id = models.SmallIntegerField(primary_key=True)
    paused_at = models.DateTimeField()
    resuming = models.BooleanField()
    resumed_to = models.CharField(max_length=200, null=True, blank=True, db_collation="C")
    left_behind = ArrayField(models.CharField(max_length=200))

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="global_pause_is_one")]


class Engagement(models.Model):
    """One thing to deliver to one user."""

    class Status(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        EXPIRED = "expired"
        FAILED = "failed"
        PURGED = "purged"

    id = models.UUIDField(primary_key=True)
    user_id = models.CharField(max_length=200, db_collation="C")
    payload = models.JSONField()
    produced_at = models.DateTimeField()
    received_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    order_time = models.DateTimeField()
    held_until = models.DateTimeField(
        help_text="Not attempted before: the reorder window; of unordered ones, the lease."
    )
    arrival = models.BigIntegerField(help_text="Arrival number: breaks ties of order time.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    causal_parent = models.UUIDField(null=True, blank=True)
    unordered = models.BooleanField(default=False)
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, db_column="channel", db_constraint=False, db_index=False, related_name="+"
    )
    late = models.BooleanField(default=False)
    sequence = models.BigIntegerField(null=True, blank=True)
    lease_token = models.BigIntegerField(default=0, help_text="Of unordered ones: grows with every claim.")
    attempts = models.IntegerField(default=0)
    replays = models.IntegerField(default=0, help_text="A replayed one waits for no parent, and no child waits for it.")
    last_error = models.TextField(blank=True, default="")
    timeout_seconds = models.FloatField(null=True, blank=True)
    content_digest = models.BinaryField(max_length=16, help_text="Of the fields as the client sent them.")

    class Meta:
        ordering = ["-arrival"]
        permissions = [("replay_engagement", "Can replay failed and expired engagements")]
        constraints = [
            models.CheckConstraint(condition=~Q(user_id=""), name="engagement_has_a_user"),
            models.CheckConstraint(condition=Q(status__in=[PENDING, *FINAL]), name="engagement_status_known"),
            models.CheckConstraint(
                condition=Q(status=PENDING, settled_at__isnull=True) | Q(status__in=FINAL, settled_at__isnull=False),
                name="engagement_settled_when_final",
            ),
            models.CheckConstraint(
                condition=Q(unordered=False) | Q(causal_parent__isnull=True, sequence__isnull=True, late=False),
                name="engagement_unordered_is_free",
            ),
            models.CheckConstraint(
                condition=Q(causal_parent__isnull=True) | ~Q(causal_parent=F("id")),
                name="engagement_not_its_own_parent",
            ),
            models.CheckConstraint(condition=Q(order_time__gte=F("produced_at")), name="engagement_order_not_before"),
            models.UniqueConstraint(
                fields=["user_id", "sequence"], condition=Q(sequence__isnull=False), name="engagement_sequence"
            ),
            models.UniqueConstraint(fields=["arrival"], name="engagement_arrival"),
        ]
        indexes = [
            # A pipeline's line: its head is the first entry.
            models.Index(
                fields=["user_id", "order_time", "arrival"],
                condition=Q(status=PENDING, unordered=False),
                name="engagement_line",
            ),
            models.Index(fields=["expires_at"], condition=Q(status=PENDING), name="engagement_deadline"),
            models.Index(
                fields=["arrival"], condition=Q(status=PENDING, unordered=True), name="engagement_unordered_line"
            ),
            models.Index(
                fields=["causal_parent"], condition=Q(causal_parent__isnull=False), name="engagement_children"
            ),
            models.Index(fields=["user_id", "arrival"], name="engagement_of_user"),
            # The lists read these two backwards: what is delivered is most of the table and is left out.
            models.Index(fields=["status", "arrival"], condition=~Q(status="delivered"), name="engagement_undelivered"),
            models.Index(fields=["arrival"], condition=Q(late=True), name="engagement_late"),
            # Counting what settled lately; a few kilobytes in all, for rows lie about in the order of their time.
            BrinIndex(fields=["settled_at"], pages_per_range=32, autosummarize=True, name="engagement_settled"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Attempt(models.Model):
    """One call of a channel for one engagement, written when it ended. Append-only."""

    class Outcome(models.TextChoices):
        DELIVERED = "delivered"
        RETRY = "retry"
        FAILED = "failed"
        CUT = "cut", "cut off at the deadline"
        INTERRUPTED = "interrupted", "interrupted: the worker stopped or lost its lease"

    engagement = models.ForeignKey(
        Engagement, on_delete=models.CASCADE, db_constraint=False, related_name="attempt_log"
    )
    number = models.IntegerField()
    worker = models.CharField(max_length=255)
    sequence = models.BigIntegerField(null=True, blank=True)
    token = models.BigIntegerField()
    started_at = models.DateTimeField()
    duration_seconds = models.FloatField()
    outcome = models.CharField(max_length=11, choices=Outcome.choices)
    answer = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.engagement_id}"


class AuditEntry(models.Model):
    """Who paused, purged or replayed what, when, how many and why. Append-only: triggers refuse whatever else."""

    at = models.DateTimeField(db_default=Func(function="clock_timestamp", output_field=models.DateTimeField()))
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=50)
    target = models.CharField(max_length=300)
    count = models.IntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True, default="")
    operation = models.UUIDField(null=True, blank=True, help_text="Of an action on many: which one it was part of.")

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            # It is never deleted from: each filter of its list walks an index, the latest first.
            models.Index(fields=["at", "id"], name="audit_by_time"),
            models.Index(fields=["actor", "at", "id"], name="audit_by_actor"),
            models.Index(fields=["action", "at", "id"], name="audit_by_action"),
            models.Index(fields=["target"], opclasses=["varchar_pattern_ops"], name="audit_by_target"),
            models.Index(fields=["operation"], condition=Q(operation__isnull=False), name="audit_of_operation"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"


class SettledCount(models.Model):
    """How many engagements have settled with this status since the beginning, counted up by engines and scrapes.

    History is deleted and a replay takes its engagement out of it; these only grow.
    """

    status = models.CharField(max_length=10, primary_key=True)
    total = models.BigIntegerField(default=0)
    late = models.BigIntegerField(default=0)
    latency = ArrayField(models.BigIntegerField(), default=list)
    latency_seconds = models.FloatField(default=0.0)
    counted_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.total} {self.status}"


class Rollup(models.Model):
    """How many engagements settled with this status in a span of time; store/rollups.py fills and deletes them.

    latency: of the delivered, from receipt to delivery, as a histogram of domain/latency.py.
    """

    pk = models.CompositePrimaryKey("width_seconds", "starts_at", "status")
    width_seconds = models.SmallIntegerField()
    starts_at = models.DateTimeField()
    status = models.CharField(max_length=10)
    settled = models.IntegerField()
    late = models.IntegerField()
    latency = ArrayField(models.IntegerField())


class BeatTick(models.Model):
    """When a message of beat was last done by a worker; one row."""

    id = models.SmallIntegerField(primary_key=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="beat_tick_is_one")]


class RateBucket(models.Model):
    """How much a key, or somebody who logs in, may do right now; see store/rate.py. The table is unlogged."""

    id = models.UUIDField(primary_key=True, help_text="A hash of whose bucket it is, and of what.")
    full_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.id)


class ImportFile(models.Model):
    """A file of engagements that was handed in: looked at first, then stored batch by batch in the order of its lines.

    stored counts the engagements that have been given to the produce service, whatever became of them: each batch and
    this row are one transaction, so that whoever goes on, after a crash or beside another, goes on exactly there.
    """

    token = models.UUIDField(primary_key=True)
    made_at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True, default="")
    text = models.TextField()
    total = models.IntegerField()
    stored = models.IntegerField(default=0)
    created = models.IntegerField(default=0)
    duplicates = models.IntegerField(default=0)
    refused = models.JSONField(default=list, help_text="Of each refusal: line, field, reason.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at"]
        default_permissions = ()
        indexes = [models.Index(fields=["made_at"], name="import_made")]

    def __str__(self) -> str:
        return f"import {self.token}"


class Operation(models.Model):
    """An action of an operator on many pipelines or engagements: shown first, then done batch by batch.

    Each batch and this row are one transaction, so that whoever goes on, after a crash or beside another, goes on
    exactly there. What it acts on is fixed when it is shown (keys) and, where it purges, when it is confirmed (upto).
    Nothing happens before started_at is set; nothing more after finished_at is.
    """

    class Action(models.TextChoices):
        PURGE = "purge"
        PAUSE = "pause"
        RESUME = "resume"
        REPLAY = "replay"
        PURGE_QUEUE = "purge queue"

    token = models.UUIDField(primary_key=True)
    action = models.CharField(max_length=20, choices=Action.choices)
    actor = models.CharField(max_length=200)
    made_at = models.DateTimeField(auto_now_add=True)
    scope = models.CharField(max_length=300, help_text="What it acts on, in words.")
    selected = models.BooleanField(default=False, help_text="One by one: then the audit names each.")
    queue = models.CharField(max_length=300, blank=True, default="")
    keys = ArrayField(models.CharField(max_length=200), default=list, help_text="Users, or engagements to be replayed.")
    more = models.BooleanField(default=False, help_text="More matched than were taken.")
    shown = models.BigIntegerField(help_text="How many the confirmation shows.")
    reason = models.CharField(max_length=500, blank=True, default="")
    started_at = models.DateTimeField(null=True, blank=True)
    upto = models.BigIntegerField(null=True, blank=True, help_text="The last arrival before the confirmation.")
    total = models.IntegerField(help_text="Steps: pipelines or engagements.")
    taken = models.IntegerField(default=0)
    cursor = models.CharField(max_length=200, blank=True, default="", help_text="Of a queue: the user to go on behind.")
    busy = ArrayField(models.CharField(max_length=200), default=list, help_text="Taken, and left for later.")
    done = models.BigIntegerField(default=0)
    refused = models.IntegerField(default=0)
    refusals = models.JSONField(default=list, help_text="Of the first of them: engagement, reason.")
    finished_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=200, blank=True, default="")
    problem = models.TextField(blank=True, default="", help_text="The error that ended it.")

    class Meta:
        ordering = ["-made_at"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | Q(started_at__isnull=False),
                name="operation_ends_after_its_start",
            ),
        ]
        indexes = [
            models.Index(fields=["made_at"], name="operation_made"),
            models.Index(
                fields=["started_at"],
                condition=Q(started_at__isnull=False, finished_at__isnull=True),
                name="operation_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.scope}"
