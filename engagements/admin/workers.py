"""Workers and their queues: who is alive, whose users they serve, and what waits there."""

from django.contrib import admin

from engagements.admin.read_only import ReadOnlyAdmin
from engagements.models import Worker


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    list_display = ["name"]
