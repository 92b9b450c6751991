"""The operators of group rules, as one table: key, label, value types, argument, SQL, sentence.

The reader of rules, the SQL, the sentence, and every form, API schema and page about operators come from this table.
A negative operator is the negation of a positive one: its SQL is "not that", and it takes people without a value
unless a rule leaves them out. On an array an operator holds when any item fulfils it, or where a rule asks for all of
them, when there are items and all do; a negative one when none does.

The SQL of an operator is text with one `%s` for each parameter, made of the constants below alone: what a person typed
is always a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_noop

from groups.moving_time import Boundary, Span, end_of_day, from_wall_time, start_of_day

TEXT_TYPES = frozenset({"string", "email", "phone_number", "url"})
NUMBER_TYPES = frozenset({"integer", "float"})
BOOLEAN_TYPES = frozenset({"boolean"})
DATE_TYPES = frozenset({"date"})
ALL_TYPES = TEXT_TYPES | NUMBER_TYPES | BOOLEAN_TYPES | DATE_TYPES


class Argument(StrEnum):
    """What an operator is given beside the property."""

    NONE = "none"
    TEXT = "text"  # any text, taken as it is: a part of a value
    VALUE = "value"  # one value of the property's own type
    VALUES = "values"  # a list of them
    RANGE = "range"  # a list of two, least and greatest
    SPAN = "span"  # {"amount": 7, "unit": "days"}


class Form(StrEnum):
    """In which form an operator's SQL sees the value."""

    TEXT = "text"  # text of the value, null when absent
    JSON = "json"  # jsonb of the value, null when absent
    WHOLE = "whole"  # jsonb of the whole property, also for arrays


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of SQL with its parameters in order. A parameter may be a `Boundary`, put in when the time is known."""

    sql: str
    params: tuple[Any, ...] = ()

    def join(self, template: str, *others: Fragment) -> Fragment:
        """`template` with this piece and the others in place of its braces, in this order."""
        parts = (self, *others)
        return Fragment(template.format(*(part.sql for part in parts)), tuple(p for part in parts for p in part.params))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule asks of a value: the argument as read, and how to compare."""

    argument: Any
    type: str
    case_sensitive: bool
    zone: ZoneInfo


Build = Callable[[Fragment, Asked], Fragment]


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table. `sentence` has {name} for the property and {value} for the argument in words.

    `label` and `sentence` are English here; whoever shows them translates them.
    """

    key: str
    label: str
    types: frozenset[str]
    argument: Argument
    form: Form
    build: Build
    sentence: str
    negated: Operator | None = None  # of a negative operator: the positive one; it holds where `build` does not
    on_single: bool = True
    on_array: bool = True
    folds_case: bool = False  # compares text, ignoring case unless asked
    directions: tuple[int, ...] = ()  # the boundaries that a relative operator compares with, see Boundary

    @property
    def is_negative(self) -> bool:
        """Whether it takes people without a value, unless told to leave them out."""
        return self.negated is not None

    @property
    def asks_items(self) -> bool:
        """Whether on an array it asks about single items, and may ask it of all of them."""
        return self.on_single and self.form is not Form.WHOLE and not self.is_negative

    def suits(self, type_name: str, *, is_array: bool) -> bool:
        """Whether a property of that type can be asked this."""
        return type_name in self.types and (self.on_array if is_array else self.on_single)


# ---------------------------------------------------------------- SQL of text


def _folded(value: Fragment, asked: Asked) -> Fragment:
    return value if asked.case_sensitive else value.join("lower({})")


def _text(argument: str, asked: Asked) -> Fragment:
    return _folded(Fragment("%s::text", (argument,)), asked)


def _text_equals(value: Fragment, asked: Asked) -> Fragment:
    return _folded(value, asked).join("{} = {}", _text(asked.argument, asked))


def _text_in(value: Fragment, asked: Asked) -> Fragment:
    options = [_text(each, asked) for each in asked.argument]
    return _folded(value, asked).join(f"{{}} in ({', '.join(['{}'] * len(options))})", *options)


def _text_contains(value: Fragment, asked: Asked) -> Fragment:
    return _folded(value, asked).join("strpos({}, {}) > 0", _text(asked.argument, asked))


def _text_starts(value: Fragment, asked: Asked) -> Fragment:
    return _folded(value, asked).join("starts_with({}, {})", _text(asked.argument, asked))


def _text_ends(value: Fragment, asked: Asked) -> Fragment:
    end = _text(asked.argument, asked)
    return _folded(value, asked).join("right({}, length({})) = {}", end, end)


# ---------------------------------------------------------------- SQL of numbers and booleans


def _json_compares(comparison: str) -> Build:
    """Numbers and booleans are compared as JSON: exact, and never an error whatever is stored."""

    def build(value: Fragment, asked: Asked) -> Fragment:
        return value.join(f"{{}} {comparison} {{}}", _json(asked.argument))

    return build


def _json(argument: float | bool) -> Fragment:
    return Fragment("%s::jsonb", (str(argument).lower(),))


def _json_between(value: Fragment, asked: Asked) -> Fragment:
    least, greatest = asked.argument
    return value.join("({} >= {} and {} <= {})", _json(least), value, _json(greatest))


def _json_is(literal: str) -> Build:
    return lambda value, asked: value.join(f"{{}} = '{literal}'::jsonb")


# ---------------------------------------------------------------- SQL of dates, whose text order is time order


def _first_moment(given: date | datetime, zone: ZoneInfo) -> datetime:
    """When a day begins, or the very moment that was given; without an offset it is the project's time."""
    if not isinstance(given, datetime):
        return start_of_day(given, zone)
    return given if given.tzinfo else from_wall_time(given, zone)


def _compared(value: Fragment, comparison: str, at: datetime | Boundary) -> Fragment:
    return value.join(f'({{}}) collate "C" {comparison} {{}}', Fragment("%s", (at,)))


def _date_before(value: Fragment, asked: Asked) -> Fragment:
    return _compared(value, "<", _first_moment(asked.argument, asked.zone))


def _date_on_or_after(value: Fragment, asked: Asked) -> Fragment:
    return _compared(value, ">=", _first_moment(asked.argument, asked.zone))


def _date_on_or_before(value: Fragment, asked: Asked) -> Fragment:
    return _until(value, asked.argument, asked.zone)


def _date_after(value: Fragment, asked: Asked) -> Fragment:
    if isinstance(asked.argument, datetime):
        return _compared(value, ">", _first_moment(asked.argument, asked.zone))
    return _compared(value, ">=", end_of_day(asked.argument, asked.zone))


def _until(value: Fragment, last: date | datetime, zone: ZoneInfo) -> Fragment:
    """Up to a moment, or to the end of a day."""
    if isinstance(last, datetime):
        return _compared(value, "<=", _first_moment(last, zone))
    return _compared(value, "<", end_of_day(last, zone))


def _date_between(value: Fragment, asked: Asked) -> Fragment:
    first, last = asked.argument
    return _compared(value, ">=", _first_moment(first, asked.zone)).join("({} and {})", _until(value, last, asked.zone))


def _date_is(value: Fragment, asked: Asked) -> Fragment:
    return _date_between(value, Asked((asked.argument,) * 2, asked.type, asked.case_sensitive, asked.zone))


def _within(earlier: int, later: int) -> Build:
    def build(value: Fragment, asked: Asked) -> Fragment:
        span: Span = asked.argument
        after = _compared(value, ">", Boundary(earlier, span))
        return after.join("({} and {})", _compared(value, "<=", Boundary(later, span)))

    return build


def _more_than_ago(value: Fragment, asked: Asked) -> Fragment:
    return _compared(value, "<=", Boundary(-1, asked.argument))


# ---------------------------------------------------------------- SQL of any value


def _exists(value: Fragment, asked: Asked) -> Fragment:
    return value.join("{} is not null")


def _does_not_exist(value: Fragment, asked: Asked) -> Fragment:
    return value.join("{} is null")


def _has_items(value: Fragment, asked: Asked) -> Fragment:
    return value.join("{} <> '[]'::jsonb")


# ---------------------------------------------------------------- the table


def _text_row(key: str, label: str, build: Build, words: str, argument: Argument = Argument.TEXT) -> Operator:
    return Operator(key, label, TEXT_TYPES, argument, Form.TEXT, build, words, folds_case=True)


def _number_row(key: str, label: str, build: Build, words: str, argument: Argument = Argument.VALUE) -> Operator:
    return Operator(key, label, NUMBER_TYPES, argument, Form.JSON, build, words)


def _date_row(key: str, label: str, build: Build, words: str, argument: Argument = Argument.VALUE) -> Operator:
    return Operator(key, label, DATE_TYPES, argument, Form.TEXT, build, words)


def _span_row(key: str, label: str, build: Build, words: str, directions: tuple[int, ...]) -> Operator:
    """Not on arrays: the sweep of time finds people by ProfileDate, which keeps one date for each property."""
    return Operator(
        key, label, DATE_TYPES, Argument.SPAN, Form.TEXT, build, words, on_array=False, directions=directions
    )


def _not(key: str, label: str, positive: Operator, words: str) -> Operator:
    return replace(positive, key=key, label=label, sentence=words, negated=positive)


def _includes(types: frozenset[str], form: Form, build: Build) -> Operator:
    return Operator(
        "includes",
        gettext_noop("includes"),
        types,
        Argument.VALUE,
        form,
        build,
        gettext_noop("{name} includes {value}"),
        on_single=False,
        folds_case=types == TEXT_TYPES,
    )


_EQUALS = _text_row("equals", gettext_noop("equals"), _text_equals, gettext_noop("{name} is {value}"), Argument.VALUE)
_IN = _text_row(
    "is_any_of", gettext_noop("is any of"), _text_in, gettext_noop("{name} is any of {value}"), Argument.VALUES
)
_CONTAINS = _text_row("contains", gettext_noop("contains"), _text_contains, gettext_noop("{name} contains {value}"))
_NUMBER_EQUALS = _number_row("equals", gettext_noop("equals"), _json_compares("="), gettext_noop("{name} is {value}"))
_IN_PAST = _span_row(
    "in_the_past", gettext_noop("in the past"), _within(-1, 0), gettext_noop("{name} is in the past {value}"), (-1, 0)
)
_NOT_EMPTY = Operator(
    "is_not_empty",
    gettext_noop("is not empty"),
    ALL_TYPES,
    Argument.NONE,
    Form.WHOLE,
    _has_items,
    gettext_noop("{name} has items"),
    on_single=False,
)
_ABSENT = Operator(
    "does_not_exist",
    gettext_noop("does not exist"),
    ALL_TYPES,
    Argument.NONE,
    Form.WHOLE,
    _does_not_exist,
    gettext_noop("{name} does not exist"),
)
_INCLUDES = (
    _includes(TEXT_TYPES, Form.TEXT, _text_equals),
    _includes(NUMBER_TYPES | BOOLEAN_TYPES, Form.JSON, _json_compares("=")),
    _includes(DATE_TYPES, Form.TEXT, _date_is),
)

OPERATORS: tuple[Operator, ...] = (
    _EQUALS,
    _not("does_not_equal", gettext_noop("does not equal"), _EQUALS, gettext_noop("{name} is not {value}")),
    _IN,
    _not("is_none_of", gettext_noop("is none of"), _IN, gettext_noop("{name} is none of {value}")),
    _CONTAINS,
    _not(
        "does_not_contain", gettext_noop("does not contain"), _CONTAINS, gettext_noop("{name} does not contain {value}")
    ),
    _text_row("starts_with", gettext_noop("starts with"), _text_starts, gettext_noop("{name} starts with {value}")),
    _text_row("ends_with", gettext_noop("ends with"), _text_ends, gettext_noop("{name} ends with {value}")),
    _NUMBER_EQUALS,
    _not("does_not_equal", gettext_noop("does not equal"), _NUMBER_EQUALS, gettext_noop("{name} is not {value}")),
    _number_row(
        "greater_than",
        gettext_noop("is greater than"),
        _json_compares(">"),
        gettext_noop("{name} is greater than {value}"),
    ),
    _number_row(
        "greater_than_or_equal",
        gettext_noop("is at least"),
        _json_compares(">="),
        gettext_noop("{name} is at least {value}"),
    ),
    _number_row(
        "less_than", gettext_noop("is less than"), _json_compares("<"), gettext_noop("{name} is less than {value}")
    ),
    _number_row(
        "less_than_or_equal",
        gettext_noop("is at most"),
        _json_compares("<="),
        gettext_noop("{name} is at most {value}"),
    ),
    _number_row(
        "between", gettext_noop("is between"), _json_between, gettext_noop("{name} is between {value}"), Argument.RANGE
    ),
    Operator(
        "is_true",
        gettext_noop("is true"),
        BOOLEAN_TYPES,
        Argument.NONE,
        Form.JSON,
        _json_is("true"),
        gettext_noop("{name} is true"),
    ),
    Operator(
        "is_false",
        gettext_noop("is false"),
        BOOLEAN_TYPES,
        Argument.NONE,
        Form.JSON,
        _json_is("false"),
        gettext_noop("{name} is false"),
    ),
    _date_row("before", gettext_noop("is before"), _date_before, gettext_noop("{name} is before {value}")),
    _date_row(
        "on_or_before",
        gettext_noop("is on or before"),
        _date_on_or_before,
        gettext_noop("{name} is on or before {value}"),
    ),
    _date_row("after", gettext_noop("is after"), _date_after, gettext_noop("{name} is after {value}")),
    _date_row(
        "on_or_after", gettext_noop("is on or after"), _date_on_or_after, gettext_noop("{name} is on or after {value}")
    ),
    _date_row(
        "between", gettext_noop("is between"), _date_between, gettext_noop("{name} is between {value}"), Argument.RANGE
    ),
    _IN_PAST,
    _not(
        "not_in_the_past", gettext_noop("not in the past"), _IN_PAST, gettext_noop("{name} is not in the past {value}")
    ),
    _span_row(
        "in_the_next", gettext_noop("in the next"), _within(0, 1), gettext_noop("{name} is in the next {value}"), (0, 1)
    ),
    _span_row(
        "more_than_ago",
        gettext_noop("more than … ago"),
        _more_than_ago,
        gettext_noop("{name} is more than {value} ago"),
        (-1,),
    ),
    *_INCLUDES,
    *(
        _not(
            "does_not_include", gettext_noop("does not include"), each, gettext_noop("{name} does not include {value}")
        )
        for each in _INCLUDES
    ),
    _NOT_EMPTY,
    _not("is_empty", gettext_noop("is empty"), _NOT_EMPTY, gettext_noop("{name} is empty")),
    Operator(
        "exists", gettext_noop("exists"), ALL_TYPES, Argument.NONE, Form.WHOLE, _exists, gettext_noop("{name} exists")
    ),
    _ABSENT,
)

_BY_KEY_AND_TYPE: dict[tuple[str, str], Operator] = {
    (operator.key, type_name): operator for operator in OPERATORS for type_name in operator.types
}


def find(key: str, type_name: str) -> Operator | None:
    """The operator of that key for values of that type."""
    return _BY_KEY_AND_TYPE.get((key, type_name))


def for_property(type_name: str, *, is_array: bool) -> Iterable[Operator]:
    """The operators that a property of that type can be asked, in the table's order."""
    return (operator for operator in OPERATORS if operator.suits(type_name, is_array=is_array))


_FIELD_TEXT = frozenset({"equals", "does_not_equal", "is_any_of", "is_none_of"})


def for_field(type_name: str) -> Iterable[Operator]:
    """The operators that a field of the profile itself can be asked: it always has a value."""
    return (
        operator
        for operator in for_property(type_name, is_array=False)
        if operator.form is not Form.WHOLE and (type_name == "date" or operator.key in _FIELD_TEXT)
    )
