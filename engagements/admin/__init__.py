"""The operators' pages, in Django's admin. Thin: they read, filter, and ask a service."""

from engagements.admin import audit, channels, engagements, operations, pipelines, site, workers

__all__ = ["audit", "channels", "engagements", "operations", "pipelines", "site", "workers"]
