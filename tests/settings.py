"""Settings of the suite: the product's own, on servers of its own, without what only slows a test down.

The servers are started by tests/conftest.py when a test first asks for the database. TEST_DB_SUFFIX gives a second
run at the same time a database of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.lib.servers.places import locate

ROOT = Path(__file__).resolve().parent.parent
# Each worker of pytest-xdist has its own servers: a transaction open on a server holds the reading of change logs back.
TEST_VAR = Path(os.environ.get("GROUPAROO_TEST_VAR") or ROOT / "var" / "test")
TEST_VAR /= os.environ.get("PYTEST_XDIST_WORKER", "")
# Processes that pytest starts inherit the addresses set below; this says that nobody gave them.
SERVERS_ARE_GIVEN = bool(os.environ.get("DATABASE_URL")) and "GROUPAROO_TEST_SERVERS" not in os.environ
if not SERVERS_ARE_GIVEN:
    os.environ["GROUPAROO_TEST_SERVERS"] = "embedded"
    os.environ["DATABASE_URL"] = locate(TEST_VAR).database_url_of("postgres")
    os.environ["REDIS_URL"] = locate(TEST_VAR).redis_url

os.environ["GROUPAROO_VAR"] = str(TEST_VAR)
os.environ.setdefault("REDIS_URL", locate(TEST_VAR).redis_url)
os.environ.setdefault("SECRET_KEY", "a key for tests alone, worth nothing anywhere else")
os.environ.setdefault("GROUPAROO_SECRET_KEYS", "dGVzdHMgYWxvbmUsIHdvcnRoIG5vdGhpbmcgaGVyZSE=")

from grouparoo.settings import *  # noqa: E402, F403  (the environment has to be set first)
from grouparoo.settings import DATABASES, STORAGES  # noqa: E402  the environment is set above

DATABASES["default"]["TEST"] = {"NAME": "test_grouparoo" + os.environ.get("TEST_DB_SUFFIX", "")}
DATABASES["default"]["CONN_MAX_AGE"] = 0
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["*"]
LOG_LEVEL = "WARNING"
GROUPAROO_ALLOW_PRIVATE_HOSTS = True
WHITENOISE_AUTOREFRESH = True  # nothing is collected for tests
