"""The ASGI application, for any ASGI server: `uvicorn deliveryproject.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deliveryproject.settings")
# Under ASGI each request runs in a thread of its own: a connection kept per thread would never be used twice.
os.environ.setdefault("DATABASE_POOL_SIZE", "10")

application = get_asgi_application()
