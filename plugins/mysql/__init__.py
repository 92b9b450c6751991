"""The MySQL plugin, for MySQL 8 and MariaDB 10.11: import, retrieve properties, export to tables."""

from __future__ import annotations

from plugins.contracts import AppSpec
from plugins.mysql.destination import MysqlDestination
from plugins.sql.options import DATABASE, HOST, PASSWORD, SSL_MODE, STATEMENT_TIMEOUT, USER, port_option

__all__ = ["Mysql"]


class Mysql(MysqlDestination):
    """One MySQL or MariaDB database."""

    spec = AppSpec(
        key="mysql",
        label="MySQL",
        description="Import and export tables of a MySQL or MariaDB database, and ask it for properties.",
        icon="database",
        categories=("database",),
        options=(HOST, port_option(3306), DATABASE, USER, PASSWORD, SSL_MODE, STATEMENT_TIMEOUT),
    )
