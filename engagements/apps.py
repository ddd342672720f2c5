from django.apps import AppConfig


class EngagementsConfig(AppConfig):
    """What is promised: models, ordering rules, use cases, API and admin."""

    name = "engagements"
