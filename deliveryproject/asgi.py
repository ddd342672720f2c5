"""The ASGI application, for any ASGI server: `uvicorn deliveryproject.asgi:application`."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deliveryproject.settings")
# Under ASGI each request runs in a thread of its own: a connection kept per thread would never be used twice.
os.environ.setdefault("DATABASE_POOL_SIZE", "10")

_django = get_asgi_application()

from engagements.api.body_limit import BodyLimit  # noqa: E402 - needs Django to be set up

application = BodyLimit(_django, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
