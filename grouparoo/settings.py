"""Settings of the whole product, read from the environment and checked here.

docs/operations.md describes every variable; tests/architecture keeps the two together. What needs more than one value
to be judged is a system check in `grouparoo/checks.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from core.lib.servers.places import locate
from grouparoo import logs
from grouparoo.environment import (
    read_bool,
    read_choice,
    read_email_url,
    read_encryption_keys,
    read_int,
    read_languages,
    read_list,
    read_signing_key,
    read_text,
    read_url,
)

BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env")

# ---------------------------------------------------------------- places, keys, addresses

VAR = Path(read_text("GROUPAROO_VAR", default=str(BASE_DIR / "var"))).absolute()
DEBUG = read_bool("DEBUG", default=False)
SECRET_KEY = read_signing_key("SECRET_KEY", kept_in=VAR / "keys" / "signing")
GROUPAROO_SECRET_KEYS = read_encryption_keys("GROUPAROO_SECRET_KEYS", kept_in=VAR / "keys" / "encryption")
ALLOWED_HOSTS = read_list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = read_list("CSRF_TRUSTED_ORIGINS", default=[])

# ---------------------------------------------------------------- what the product is made of

INSTALLED_APPS = [
    "grouparoo",
    "schedules",
    "pipeline",
    "groups",
    "events",
    "profiles",
    "apps_connectors",
    "core.ui",
    "core.rest",
    "core.accounts",
    "core.work",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "lucide",
    "rest_framework",
]

MIDDLEWARE = [
    "grouparoo.health.HealthMiddleware",
    "core.rest.middleware.RequestIdMiddleware",
    "grouparoo.logs.RequestLog",
    "core.rest.middleware.ApiErrorMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "core.ui.middleware.SessionUse",
    "core.ui.middleware.SecondFactorFirst",
    "core.ui.middleware.ViewersFormats",
    "core.ui.middleware.ViewersLanguage",
    "core.ui.middleware.NotFoundPages",
]

ROOT_URLCONF = "grouparoo.urls"
WSGI_APPLICATION = "grouparoo.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "grouparoo.shell.shell",
            ],
        },
    },
]

# ---------------------------------------------------------------- database

DATABASE_URL = read_url(
    "DATABASE_URL",
    default=locate(VAR).database_url,
    schemes=("postgresql", "postgres"),
    example="postgresql://user:password@host:5432/database",
)
PG_BIN = read_text("PG_BIN")
# Shown by pg_stat_activity, so that an operator sees which kind of process holds a connection.
PROCESS_NAME = read_text("GROUPAROO_PROCESS", default="grouparoo")


def configure_database(url: str) -> dict[str, Any]:
    """Turn a URL into Django's settings, with the limits that the log cursor and the planner rely on."""
    database: dict[str, Any] = dict(environ.Env.db_url_config(url))
    given = database.get("OPTIONS", {})
    database["OPTIONS"] = {
        "application_name": PROCESS_NAME,
        "connect_timeout": 10,
        **given,
        # An open transaction holds back every reader of the change logs, so none may idle.
        "options": f"-c idle_in_transaction_session_timeout=60s -c jit=off {given.get('options', '')}".strip(),
    }
    database["CONN_MAX_AGE"] = 300
    database["CONN_HEALTH_CHECKS"] = True
    return database


DATABASES = {"default": configure_database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---------------------------------------------------------------- background work

REDIS_URL = read_url(
    "REDIS_URL",
    default=locate(VAR).redis_url,
    schemes=("redis", "rediss", "unix"),
    example="redis://:password@host:6379/0",
)
SERVERS_ARE_EMBEDDED = not (read_text("DATABASE_URL") and read_text("REDIS_URL"))
# Two kinds of workers: what waits for destinations never stands in the way of anything else.
INNER_QUEUES = ("events", "imports", "groups", "default")
OUTER_QUEUES = ("exports", "outbound")
QUEUES = (*INNER_QUEUES, *OUTER_QUEUES)


def as_broker_url(url: str) -> str:
    """Celery writes a socket's address in another way than redis-py does."""
    if not url.startswith("unix://"):
        return url
    path, _, query = url.removeprefix("unix://").partition("?")
    return f"redis+socket://{path}?virtual_host={query.removeprefix('db=') or 0}"


CELERY_BROKER_URL = as_broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives any pause of the broker
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A wake-up is forgotten once a worker has it: rows and their leases bring work back, never the broker. What is kept
    # until it is acknowledged would have to be put back when the broker goes away, and a worker ends over that.
    "ack_emulation": False,
    "socket_connect_timeout": 0.5,
    "socket_timeout": 5,
    "health_check_interval": 25,
    "socket_keepalive": not REDIS_URL.startswith("unix://"),
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True  # there is no result backend: PostgreSQL holds what happened
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # the row's lease brings the work back, whatever the broker does
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = {name: {"exchange": name, "routing_key": name} for name in QUEUES}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # what runs needs PostgreSQL, not the broker
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"

# How long work that a killed worker held waits for another one; a step of work has to take less.
GROUPAROO_LEASE_SECONDS = read_int("GROUPAROO_LEASE_SECONDS", default=60, least=1, most=3600)

# How long an outbound event is tried again before it is given up.
OUTBOUND_GIVE_UP_HOURS = read_int("OUTBOUND_GIVE_UP_HOURS", default=72, least=1, most=24 * 365)

# How many processes `python manage.py up` keeps running.
WEB_PROCESSES = read_int("WEB_PROCESSES", default=2, least=1, most=64)
WORKER_PROCESSES = read_int("WORKER_PROCESSES", default=2, least=1, most=256)
SENDER_PROCESSES = read_int("SENDER_PROCESSES", default=4, least=1, most=256)

# ---------------------------------------------------------------- people and sessions

AUTH_USER_MODEL = "accounts.User"
# Whether the first visitor of an empty installation becomes its admin. A single machine has nobody else to ask.
FIRST_ADMIN_IN_BROWSER = read_bool("FIRST_ADMIN_IN_BROWSER", default=SERVERS_ARE_EMBEDDED)
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3600
SESSION_ENGINE = "core.accounts.sessions"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"

# ---------------------------------------------------------------- email: invitations, and links for new passwords

_email = read_email_url("EMAIL_URL")
EMAIL_HOST: str = _email["EMAIL_HOST"]  # "" where no email is sent: pages show links to copy then
EMAIL_PORT: int = _email["EMAIL_PORT"]
EMAIL_HOST_USER: str = _email["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD: str = _email["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS: bool = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL: bool = _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = read_text("EMAIL_FROM")
if EMAIL_HOST and not DEFAULT_FROM_EMAIL:
    raise ImproperlyConfigured("EMAIL_URL is set, so EMAIL_FROM has to be, too: Grouparoo <grouparoo@example.com>")

# ---------------------------------------------------------------- the browser's safety

HTTPS = read_bool("HTTPS", default=False)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # the browsers' preload list is a matter of the whole domain, not ours
BEHIND_PROXY = read_bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# ---------------------------------------------------------------- what the team decides, until it does

PROJECT_DEFAULTS: dict[str, Any] = {
    "name": read_text("PROJECT_NAME", default="Grouparoo"),
    "time_zone": read_text("PROJECT_TIME_ZONE", default="UTC"),
    "phone_region": read_text("PROJECT_PHONE_REGION", default="US").upper(),
    "event_retention_days": read_int("EVENT_RETENTION_DAYS", default=365, least=7, most=36_500),
    "log_retention_days": read_int("LOG_RETENTION_DAYS", default=365, least=7, most=36_500),
    "delivery_retention_days": read_int("DELIVERY_RETENTION_DAYS", default=365, least=1, most=36_500),
}

# ---------------------------------------------------------------- doors

EVENTS_PER_REQUEST = read_int("EVENTS_PER_REQUEST", default=5000, least=1, most=100_000)
EVENT_MAX_BYTES = read_int("EVENT_MAX_BYTES", default=262_144, least=1024, most=5_000_000)
TRACKING_EVENT_MAX_BYTES = read_int("TRACKING_EVENT_MAX_BYTES", default=32_768, least=1024, most=5_000_000)
TRACKING_BATCH_MAX_BYTES = read_int("TRACKING_BATCH_MAX_BYTES", default=512_000, least=1024, most=10_000_000)
TRACKING_BATCH_MAX_EVENTS = read_int("TRACKING_BATCH_MAX_EVENTS", default=2500, least=1, most=100_000)
# Past this many events that wait to be processed the doors answer 429, so that memory and disk stay flat.
INBOX_LIMIT = read_int("INBOX_LIMIT", default=500_000, least=1, most=100_000_000)
API_REQUESTS_PER_MINUTE = read_int("API_REQUESTS_PER_MINUTE", default=3000, least=0, most=10_000_000)
# Whether an App may name a host inside a private network. A single machine has nothing else to show.
GROUPAROO_ALLOW_PRIVATE_HOSTS = read_bool("GROUPAROO_ALLOW_PRIVATE_HOSTS", default=DEBUG or SERVERS_ARE_EMBEDDED)

# ---------------------------------------------------------------- REST

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["core.rest.rendering.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.rest.parsing.JsonParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["core.rest.auth.KeyAuthentication", "core.rest.auth.BrowserAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["core.rest.auth.HasScope"],
    "EXCEPTION_HANDLER": "core.rest.errors.answer_error",
    "DEFAULT_THROTTLE_CLASSES": ["core.rest.limits.PerCaller"],
    "DEFAULT_SCHEMA_CLASS": "core.rest.document.DescribedEndpoint",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Grouparoo",
    "DESCRIPTION": "Profiles, groups, schedules and events of a customer data platform.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "POSTPROCESSING_HOOKS": ["core.rest.document.add_failures", "core.rest.document.allow_anything"],
}

# ---------------------------------------------------------------- static files, time, language

STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
MEDIA_ROOT = VAR / "uploads"
USE_TZ = True
TIME_ZONE = "UTC"  # what is stored; people see the project's own time zone
USE_I18N = True
LANGUAGE_CODE = "en"  # of what has no viewer: the API, commands, work in the background
LANGUAGES = read_languages("LANGUAGES", always=LANGUAGE_CODE)
LOCALE_PATHS = [BASE_DIR / "locale"]  # one catalogue for all packages: texts move between them

# ---------------------------------------------------------------- logging

LOG_LEVEL = read_choice("LOG_LEVEL", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOG_FORMAT = read_choice("LOG_FORMAT", default="text", choices=("text", "json"))
LOGGING = logs.configure(level=LOG_LEVEL, json=LOG_FORMAT == "json")
