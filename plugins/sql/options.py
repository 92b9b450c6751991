"""The options that the SQL servers share, as data."""

from __future__ import annotations

from plugins.contracts import Option, OptionKind

HOST = Option("host", "Host", required=True, default="localhost", placeholder="db.example.com")
DATABASE = Option("database", "Database", required=True)
USER = Option("user", "User", required=True)
PASSWORD = Option("password", "Password", kind=OptionKind.SECRET)
SSL_MODE = Option(
    "ssl_mode",
    "SSL",
    kind=OptionKind.CHOICE,
    default="prefer",
    choices=(
        ("disable", "Never"),
        ("prefer", "When the server offers it"),
        ("require", "Always"),
        ("verify-full", "Always, and check the server's certificate"),
    ),
)
STATEMENT_TIMEOUT = Option(
    "statement_timeout",
    "Statement timeout",
    kind=OptionKind.NUMBER,
    default=60,
    help="Seconds after which a statement is given up; 0 for no limit.",
)


def port_option(default: int) -> Option:
    """The port, with the server's usual one as its default."""
    return Option("port", "Port", kind=OptionKind.NUMBER, required=True, default=default)
