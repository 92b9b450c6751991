"""What is copied arrives as it was, whatever characters it holds; and a key that is taken is told."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from core.lib.copying import copy_new, copy_rows

_TABLE = "create temporary table copied (id int primary key, name text, extra text, flag boolean, whole uuid)"
_COLUMNS = ("id", "name", "extra", "flag", "whole")


@pytest.mark.django_db
def test_every_character_and_kind_of_value_arrives_as_it_was() -> None:
    texts = ["plain", "a\tb", "a\nb", "a\rb", "a\\b", "\\N", "\\.", "", "Zoë", '{"a": "b\\n"}', "{", "null"]
    rows = [
        (place, text, None if place % 3 else text, None if place % 2 else bool(place), uuid4() if place % 2 else None)
        for place, text in enumerate(texts)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_TABLE)
        copy_rows(cursor, "copied", _COLUMNS, rows)
        cursor.execute("select id, name, extra, flag, whole from copied order by id")
        assert cursor.fetchall() == rows


@pytest.mark.django_db
def test_nothing_is_sent_for_no_rows() -> None:
    with connection.cursor() as cursor:
        copy_rows(cursor, "there_is_no_such_table", ("id",), [])
        assert copy_new(cursor, "there_is_no_such_table", ("id",), [])


@pytest.mark.django_db
def test_a_key_that_is_taken_is_told_and_any_other_trouble_is_raised() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TABLE)
        assert copy_new(cursor, "copied", ("id", "name"), [(1, "Alice"), (2, "Bob")])
        with transaction.atomic():
            assert not copy_new(cursor, "copied", ("id", "name"), [(2, "Charlie"), (3, "Charlie")])
            transaction.set_rollback(True)
        cursor.execute("select id, name from copied order by id")
        assert cursor.fetchall() == [(1, "Alice"), (2, "Bob")]
        with pytest.raises(IntegrityError), transaction.atomic():
            copy_new(cursor, "copied", ("id", "name"), [(None, "nobody")])
        with pytest.raises(DatabaseError), transaction.atomic():
            copy_new(cursor, "copied", ("id", "name"), [("x", "nobody")])
