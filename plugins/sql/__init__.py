"""What all SQL plugins share: connections, checking of queries, importing, retrieving and exporting.

Built on SQLAlchemy Core (connections, reflection) and sqlglot (parsing). On the hot paths the driver's own cursor is
used. A dialect is a subclass of `plugins.sql.app.SqlApp` that fills in what differs.
"""
