from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """How delivery runs: Celery tasks, the engine and the channels."""

    name = "workers"
