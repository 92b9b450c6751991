"""The embedded servers: a real PostgreSQL and a real Redis-protocol server, started from Python packages."""

from __future__ import annotations
