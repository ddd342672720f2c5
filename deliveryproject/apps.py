from django.apps import AppConfig


class DeliveryProjectConfig(AppConfig):
    """Makes the management commands of this package known to Django."""

    name = "deliveryproject"
    verbose_name = "Delivery project"
