"""The tables: columns, constraints and indexes. Rules live in domain/ and services.py; every write goes through store/.

Foreign keys of the hot tables carry no database constraint: the check would lock the same channel or worker row from
every insert, and an attempt is never written without its engagement's row lock being held in the same statement.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

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
    """Who paused, purged or replayed what, when, how many and why. Append-only."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=50)
    target = models.CharField(max_length=300)
    count = models.IntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"


class SettledCount(models.Model):
    """How many engagements have settled with this status since the beginning, counted up at each scrape of the metrics.

    History is deleted and a replay takes its engagement out of it; these only grow.
    """

    status = models.CharField(max_length=10, primary_key=True)
    total = models.BigIntegerField(default=0)
    late = models.BigIntegerField(default=0)
    counted_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.total} {self.status}"
