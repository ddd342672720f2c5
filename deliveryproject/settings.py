"""Settings, all read from the environment; the unit is in the name.

`make up` needs none of them. Production sets DATABASE_URL, BROKER_URL, SECRET_KEY, ALLOWED_HOSTS and HTTPS=1.
"""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from deliveryproject.local.data_dir import DataDir
from deliveryproject.local.state import running
from engagements.conf import DEFAULTS

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

DATA_DIR = BASE_DIR / env.str("DATA_DIR", default="var")
"""Where `up` keeps its servers' data; a relative path starts at the checkout."""

_up = running(DataDir(DATA_DIR).state_file)
"""The `up` that runs on DATA_DIR now, so that commands in another shell reach its servers with no setting."""

DEBUG = env.bool("DEBUG", default=False)

HTTPS = env.bool("HTTPS", default=False)
"""Set to 1 where browsers reach the site by https: cookies are then secure, http is redirected, HSTS is sent.
The proxy in front must say by X-Forwarded-Proto how it was asked; uvicorn believes those that its setting
FORWARDED_ALLOW_IPS names (127.0.0.1 unless told otherwise)."""


def _secret_key() -> str:
    """SECRET_KEY, or one that is made once and kept in DATA_DIR; several hosts must be given the same."""
    given: str = env.str("SECRET_KEY", default="")
    if given:
        return given
    try:
        return DataDir(DATA_DIR).secret("secret_key", characters=64)
    except OSError as error:
        raise ImproperlyConfigured(f"Set SECRET_KEY, or make DATA_DIR readable and writable: {error}") from error


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- Delivery ---

PENDING_TIMEOUT_SECONDS = env.float("PENDING_TIMEOUT_SECONDS", default=DEFAULTS["PENDING_TIMEOUT_SECONDS"])
REORDER_WINDOW_MS = env.float("REORDER_WINDOW_MS", default=DEFAULTS["REORDER_WINDOW_MS"])
SESSION_IDLE_SECONDS = env.float("SESSION_IDLE_SECONDS", default=DEFAULTS["SESSION_IDLE_SECONDS"])
LEASE_SECONDS = env.float("LEASE_SECONDS", default=DEFAULTS["LEASE_SECONDS"])
LATE_POLICY = env.str("LATE_POLICY", default=DEFAULTS["LATE_POLICY"])
RETENTION_DAYS = env.float("RETENTION_DAYS", default=DEFAULTS["RETENTION_DAYS"])
WEBHOOK_ALLOW_PRIVATE = env.bool("WEBHOOK_ALLOW_PRIVATE", default=DEFAULTS["WEBHOOK_ALLOW_PRIVATE"])
WEBHOOK_ATTEMPT_SECONDS = env.float("WEBHOOK_ATTEMPT_SECONDS", default=DEFAULTS["WEBHOOK_ATTEMPT_SECONDS"])
PAYLOAD_MASKED_FIELDS = env.list("PAYLOAD_MASKED_FIELDS", default=DEFAULTS["PAYLOAD_MASKED_FIELDS"])

RATE_LIMIT_REQUESTS_PER_SECOND = env.float("RATE_LIMIT_REQUESTS_PER_SECOND", default=0)
RATE_LIMIT_REQUESTS_BURST = env.int("RATE_LIMIT_REQUESTS_BURST", default=0)
RATE_LIMIT_ENGAGEMENTS_PER_SECOND = env.float("RATE_LIMIT_ENGAGEMENTS_PER_SECOND", default=0)
RATE_LIMIT_ENGAGEMENTS_BURST = env.int("RATE_LIMIT_ENGAGEMENTS_BURST", default=0)
"""How much one API key may do, over all web processes together; 0: as much as it likes."""

CHANNEL_KINDS = {**DEFAULTS["CHANNEL_KINDS"]}
"""Kinds of channel by name: add your own class here by its dotted path."""

# --- `up` ---

PORT = env.int("PORT", default=8000)
WORKERS = env.int("WORKERS", default=2)

SITE_URL = _up.web_url if _up else ""
"""Where the `up` that runs is reached, for commands that point there; empty when none runs."""

# --- Servers ---

BROKER_URL = env.str("BROKER_URL", default="") or (_up.broker_url if _up else "")
"""Empty when neither is known: publishing then fails at once with a message that says so."""

READY_WORKERS = env.int("READY_WORKERS", default=1)
"""How many workers must be alive for /readyz to answer 200; `up` asks for all of its own."""

WEB_THREADS = env.int("WEB_THREADS", default=10)
"""Requests that one web process works on at a time; each thread keeps a database connection."""


DATABASE_PREPARE = env.bool("DATABASE_PREPARE", default=True)
"""Whether connections prepare the statements that they repeat: half of PostgreSQL's work on a single post. Set to 0
behind a pooler in transaction mode that does not follow prepared statements (PgBouncer before 1.21)."""


def _database() -> dict[str, object]:
    url = env.str("DATABASE_URL", default="") or (_up.database_url if _up else "")
    if not url:
        return {"ENGINE": "deliveryproject.no_database", "NAME": "unset"}
    database: dict[str, object] = dict(environ.Env.db_url_config(url))
    if database["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL database: postgresql://user:password@host/name")
    options: dict[str, object] = {"connect_timeout": 5, **database.get("OPTIONS", {})}  # type: ignore[dict-item]
    if DATABASE_PREPARE:
        options["prepare_threshold"] = 3
    database["OPTIONS"] = options
    database["CONN_MAX_AGE"] = None
    # A connection that died while idle is found before it is used.
    database["CONN_HEALTH_CHECKS"] = True
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Django ---

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "engagements",
    "workers",
    "deliveryproject",
]

MIDDLEWARE = [
    "engagements.api.user_paths.RouteByEncodedPath",
    "csp.middleware.CSPMiddleware",
    "deliveryproject.permissions_policy.PermissionsPolicy",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "engagements.admin.snapshots.LiveSnapshots",
]

ROOT_URLCONF = "deliveryproject.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
# Static files are served from the packages they came in: nothing has to be collected before a start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
"""Bytes of a request's body; a larger one is answered 413."""

# --- Security ---

SECURE_SSL_REDIRECT = HTTPS
# Probes and scrapers inside the network ask by plain http.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
"""Seconds from the login: a long shift. Pages that refresh themselves do not make it longer."""

SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # data: for the icons in Swagger UI's style sheet
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
"""For every answer, the API's docs and error pages included: nothing inline, nothing evaluated, none from elsewhere."""

# --- API ---

REST_FRAMEWORK: dict[str, object] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["engagements.api.authentication.KeyAuthentication"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["engagements.api.json_body.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["engagements.api.json_body.StrictJSONParser"],
    "EXCEPTION_HANDLER": "engagements.api.errors.exception_handler",
}

REST_KNOX: dict[str, object] = {
    "AUTH_HEADER_PREFIX": "Bearer",
    # A key is for a program: it works until somebody removes it.
    "TOKEN_TTL": None,
}

SPECTACULAR_SETTINGS: dict[str, object] = {
    "TITLE": "Ordered delivery of engagements",
    "DESCRIPTION": "Produce engagements, read where they are, and operate the pipelines that deliver them in order.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["engagements.api.schema.hooks.complete"],
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
}

# --- Logging ---

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        **{
            name: {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO"), "propagate": False}
            for name in ("engagements", "workers", "deliveryproject", "django")
        },
        # Otherwise two lines for each message, and beat sends one every second.
        **{name: {"level": "WARNING"} for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat")},
    },
}
