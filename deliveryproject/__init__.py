"""Wiring: settings, URLs, the ASGI and Celery applications, and the `up` command. No rules live here."""

from deliveryproject.celery import app as celery_app

__all__ = ["celery_app"]
