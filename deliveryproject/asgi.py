"""The ASGI application, for any ASGI server: `uvicorn deliveryproject.asgi:application`.

Django itself runs synchronously, on a fixed set of threads, each with a database connection that it keeps. Its own ASGI
handler changes threads for every middleware and starts a new thread for every request, which cost five times what an
engagement's transaction does (docs/adr/0003-asgi-server.md).
"""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from deliveryproject.threads import Threads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deliveryproject.settings")

_django = get_wsgi_application()

from engagements.api.body_limit import BodyLimit  # noqa: E402 - needs Django to be set up

application = BodyLimit(Threads(_django, settings.WEB_THREADS), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
