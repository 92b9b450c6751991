"""Binding templates and checking queries, without a database."""

from __future__ import annotations

import pytest

from core.lib.templates import Variable
from plugins.contracts import Reject
from plugins.sql.queries import bind_template, check_select


def bind(template: str, dialect: str = "postgres") -> str:
    def render(variable: Variable, quoted: bool) -> str:
        return f"<{variable.key}{' text' if quoted else ''}>"

    return bind_template(template, dialect, render)


@pytest.mark.parametrize(
    ("dialect", "template", "sql"),
    [
        ("postgres", "a = {{profile.x}}", "a = <x>"),
        ("postgres", "a = '{{profile.x}}'", "a = <x text>"),
        ("postgres", 'a = "{{profile.x}}"', "a = <x text>"),
        ("postgres", "a = ' {{profile.x}}'", "a = (cast(' ' as text) || cast(<x text> as text))"),
        ("postgres", "a = 'it''s {{profile.x}}' or 1", "a = (cast('it''s ' as text) || cast(<x text> as text)) or 1"),
        ("postgres", "a = '\\' or b = {{profile.x}} or c = ''", "a = '\\' or b = <x> or c = ''"),
        ("mysql", "a = '\\'{{profile.x}}'", "a = concat('\\'', <x text>)"),
        ("mysql", 'a = "x{{profile.x}}"', 'a = concat("x", <x text>)'),
        ("postgres", "a -- {{profile.x}} '\n + b /* {{profile.y}} */;", "a  \n + b"),
        ("mysql", "a # {{profile.x}}\n", "a"),
        ("mysql", "a /*! into outfile 'x' */", "a"),
        ("postgres", """a @> '{"x": {"y": 1}}'""", """a @> '{"x": {"y": 1}}'"""),
        ("postgres", "$$ {x} '$$ || {{profile.x}}", "$$ {x} '$$ || <x>"),
    ],
)
def test_variables_stand_where_the_braces_stood(dialect: str, template: str, sql: str) -> None:
    assert bind(template, dialect) == sql


@pytest.mark.parametrize(
    "template", ["$${{profile.x}}$$", 'a."b{{profile.x}}"', "E'{{profile.x}}'", "`{{profile.x}} `"]
)
def test_braces_in_other_quotes_are_refused(template: str) -> None:
    with pytest.raises(Reject, match="single quotes"):
        bind(template)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into a values (1)",
        "select 1; select 2",
        "with x as (update a set b = 1 returning b) select b from x",
        "select a into b from c",
        "select a from b for update",
        "select a from b for share",
        "select a from (select a from b for update) c",
        "drop table a",
        "truncate a",
        "copy a to '/tmp/a'",
        "explain analyze delete from a",
        "set a = 1",
        "call a()",
        "values (1)",
        "select a from b) c; drop table b; select (1",
        "",
        "(" * 3000,
    ],
)
@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
def test_everything_but_one_reading_select_is_refused(dialect: str, sql: str) -> None:
    with pytest.raises(Reject):
        check_select(sql, dialect)


@pytest.mark.parametrize(
    "sql", ["select 1 into outfile '/tmp/x'", "select 1 into @x", "select a from b lock in share mode"]
)
def test_mysqls_own_ways_to_write_and_lock_are_refused(sql: str) -> None:
    with pytest.raises(Reject):
        check_select(sql, "mysql")


@pytest.mark.parametrize(
    ("sql", "one_row", "plain"),
    [
        ("select a from b order by c", False, True),
        ("select a from b order by c limit 1", True, False),
        ("select a from b limit 2", False, False),
        ("select sum(a) from b", True, False),
        ("select sum(a) from b limit 1", True, False),
        ("select sum(a) - (select sum(c) from d) from b", True, False),
        ("select (select sum(a) from b)", False, True),
        ("select sum(a) from b group by c", False, False),
        ("select sum(a) over () from b", False, False),
        ("select distinct a from b", False, False),
        ("select a from b union select c from d", False, False),
        ("with x as (select 1 as a) select a from x", False, True),
    ],
)
def test_the_shape_tells_how_a_query_can_be_wrapped(sql: str, one_row: bool, plain: bool) -> None:
    shape = check_select(sql, "postgres")
    assert (shape.one_row, shape.plain, shape.columns) == (one_row, plain, 1)
