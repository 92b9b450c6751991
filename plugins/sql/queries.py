"""Turning a person's query template into SQL whose variables are expressions, and checking what it does.

`bind_template` puts an expression (a key table's column, a placeholder) where a variable stands: quotes around the
braces are dropped, braces inside a longer literal become a concatenation, comments go. `check_select` lets only one
read-only SELECT pass. Nothing here talks to a database.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from core.lib.templates import TemplateError, Variable, split
from plugins.contracts import Reject

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings quote the query, and we give our own sentence

# Gives the SQL for a variable. The flag says that the author wrote it as text, in quotes.
Render = Callable[[Variable, bool], str]

KEYS = "_keys"  # the key table, whose columns stand where the variables stood

_WRITING = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Command,
    exp.Into,
    exp.Set,
    exp.Copy,
    exp.TruncateTable,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What wrapping a query needs to know of it."""

    columns: int  # how many it gives; 0 when `*` hides it
    limited: bool  # it ends in its own LIMIT, so that none can be added behind it
    one_row: bool  # never more than one: aggregates without GROUP BY, or LIMIT 1
    outer_aggregate: bool  # it aggregates variables alone: inside a larger query, SQL takes that for the larger one's
    only_variables: bool  # its first column reads nothing but variables
    plain: bool  # one SELECT without DISTINCT, GROUP BY, window, LIMIT: its column may be put into an aggregate


def bind_template(template: str, dialect: str, render: Render, *, escape: Callable[[str], str] = str) -> str:
    """The template as SQL, each variable replaced by what `render` gives; `escape` is applied to all other text.

    Raises `Reject` for a template that cannot be read.
    """
    pieces: list[str] = []
    end = 0
    try:
        for match in _lexer(dialect).finditer(template):
            pieces.append(escape(template[end : match.start()]))
            end = match.end()
            pieces.append(_bind_token(match, dialect, render, escape))
        pieces.append(escape(template[end:]))
    except TemplateError as error:
        raise Reject(str(error)) from None
    return "".join(pieces).strip().rstrip("; \n\t\r")


@lru_cache(maxsize=2000)
def check_select(sql: str, dialect: str) -> Shape:
    """The shape of a query that is one read-only SELECT. Raises `Reject` with a sentence for anything else."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except SqlglotError as error:
        raise Reject(_parse_problem(error)) from None
    except RecursionError:
        raise Reject("The query is nested too deeply.") from None
    if len(trees) != 1:
        raise Reject("The query must be exactly one SELECT statement." if trees else "The query is empty.")
    tree = trees[0]
    writing = next(tree.find_all(*_WRITING), None)
    if writing is not None:
        raise Reject(f"The query must only read: {writing.key.upper()} is not allowed in it.")
    if next(tree.find_all(exp.Lock), None) is not None:
        raise Reject("The query must not lock rows: leave FOR UPDATE or FOR SHARE out.")
    if not isinstance(tree, exp.Query):
        raise Reject("The query must be one SELECT statement.")
    return _shape(tree)


def _shape(tree: exp.Query) -> Shape:
    limited = any(tree.args.get(part) is not None for part in ("limit", "offset", "fetch"))
    select = tree if isinstance(tree, exp.Select) else None
    star = any(isinstance(column, exp.Star) or column.is_star for column in tree.selects)
    grouped = select is not None and any(select.args.get(part) for part in ("group", "having", "distinct", "qualify"))
    aggregates = select is not None and any(_aggregates(column) for column in select.selects)
    return Shape(
        columns=0 if star else len(tree.selects),
        limited=limited,
        one_row=(aggregates and not grouped) or _has_limit_one(tree),
        outer_aggregate=any(_reads_only_variables(found) for found in tree.find_all(exp.AggFunc)),
        only_variables=bool(tree.selects) and _reads_only_variables(tree.selects[0]),
        plain=select is not None and not (grouped or limited or aggregates) and not _has_window(select),
    )


def _aggregates(column: exp.Expr) -> bool:
    """Whether a select-list item is an aggregate of this SELECT, and not one of a subquery or a window."""
    for node in column.walk(prune=lambda node: isinstance(node, (exp.Subquery, exp.Window, exp.Exists))):
        if isinstance(node, exp.AggFunc) and not isinstance(node.parent, exp.Window):
            return True
    return False


def _reads_only_variables(part: exp.Expr) -> bool:
    columns = list(part.find_all(exp.Column))
    return bool(columns) and all(column.table == KEYS for column in columns)


def _has_limit_one(tree: exp.Query) -> bool:
    limit = tree.args.get("limit")
    count = limit.args.get("expression") or limit.args.get("count") if limit is not None else None
    return isinstance(count, exp.Literal) and count.this == "1"


def _has_window(select: exp.Select) -> bool:
    return any(next(column.find_all(exp.Window), None) is not None for column in select.selects)


def _parse_problem(error: SqlglotError) -> str:
    details = getattr(error, "errors", None) or [{}]
    description = str(details[0].get("description") or "").rstrip(".")
    near = str(details[0].get("highlight") or "")
    where = f" near “{near}”" if near else ""
    return f"The query cannot be read as one SELECT statement{where}{': ' + description if description else ''}."


# ---------------------------------------------------------------- the lexer


@lru_cache(maxsize=8)
def _lexer(dialect: str) -> re.Pattern[str]:
    """Finds comments, quoted text and braces, so that each is known for what it is."""
    backslash = dialect == "mysql"
    inside = r"(?:[^'\\]|''|\\.)*" if backslash else r"(?:[^']|'')*"
    parts = [
        r"(?P<comment>--[^\n]*|/\*.*?\*/" + (r"|\#[^\n]*" if backslash else "") + ")",
        rf"(?P<escaped>\b[eE]'(?:[^'\\]|''|\\.)*')|(?P<text>'{inside}')",
        r"(?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)" if dialect == "postgres" else r"(?P<dollar>(?!))",
        r'(?P<double>"(?:[^"\\]|""|\\.)*")' if backslash else r'(?P<double>"(?:[^"]|"")*")',
        r"(?P<back>`(?:[^`]|``)*`)",
        r"(?P<braces>\{\{.*?\}\})",
        r"(?P<open>\{\{)",
    ]
    return re.compile("|".join(parts), re.DOTALL)


def _bind_token(match: re.Match[str], dialect: str, render: Render, escape: Callable[[str], str]) -> str:
    token = match.group()
    kind = match.lastgroup if match.lastgroup != "tag" else "dollar"
    if kind == "comment":
        return " "
    if kind in ("braces", "open"):
        return "".join(render(part, False) for part in split(token) if isinstance(part, Variable))
    parts = list(split(token))
    found = [part for part in parts if isinstance(part, Variable)]
    if not found:
        return escape(token)
    lone = kind != "dollar" and len(parts) == 3 and len(found) == 1 and _is_only_quotes(token)
    if lone:
        return render(found[0], True)
    if kind == "text" or (kind == "double" and dialect == "mysql"):
        return _concatenate(token, dialect, render, escape)
    raise Reject("A variable may stand by itself or inside a text in single quotes, not inside another kind of quotes.")


def _is_only_quotes(token: str) -> bool:
    inside = token[1:-1]
    return inside.startswith("{{") and inside.endswith("}}") and inside.count("{{") == 1


def _concatenate(token: str, dialect: str, render: Render, escape: Callable[[str], str]) -> str:
    quote = token[0]
    pieces = [
        render(part, True) if isinstance(part, Variable) else escape(f"{quote}{part}{quote}")
        for part in split(token[1:-1])
    ]
    if dialect == "mysql":
        return f"concat({', '.join(pieces)})"
    return "(" + " || ".join(f"cast({piece} as text)" for piece in pieces) + ")"
