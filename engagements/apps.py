from django.apps import AppConfig


class EngagementsConfig(AppConfig):
    """What is promised: models, ordering rules, use cases, API and admin."""

    name = "engagements"
    verbose_name = "Delivery"

    def ready(self) -> None:
        from engagements import checks  # noqa: F401 - registers them
