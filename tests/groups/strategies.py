"""Random values, arguments, rules and people for the tests of groups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from groups.moving_time import UNITS
from groups.operators import Argument, Operator, for_property

NOW = datetime(2024, 3, 30, 12, 30, tzinfo=UTC)  # around a month's end, a leap day and changes of clocks
TYPES = ("string", "integer", "float", "boolean", "date", "email", "phone_number", "url")

# Few values, so that rules and people meet; with what SQL, LIKE and regular expressions treat specially.
WORDS = ("a", "A", "ab", "Ab", "aB%", "a_b", "%", "_", "\\", "'", '"', "é", "É", "ба", "БА", "a b", "{}", "%s", "null")
EMAILS = ("alice@example.com", "bob@example.com", "charlie@shop.example")
PHONES = ("+14155550132", "+442079460958", "+4930901820")
URLS = ("https://example.com/", "https://example.com/A?b=%20", "http://shop.example/a")
TEXTS = {"string": WORDS, "email": EMAILS, "phone_number": PHONES, "url": URLS}
INTEGERS = (0, 1, -1, 2, 10, 9007199254740993, 9223372036854775807, -9223372036854775808)
FLOATS = (0.0, 1.0, -1.0, 0.1, 0.5, 2.5, 1e-7, 1e21, 1.7976931348623157e308)
DAYS = ("2024-02-28", "2024-02-29", "2024-03-01", "2024-03-10", "2024-03-30", "2024-03-31", "2023-12-31")
MOMENTS = ("2024-03-10T01:30", "2024-03-01T09:00", "2024-03-01T00:00:00Z", "2024-03-30T12:30:00+02:00")


def stored_date(at: datetime) -> str:
    """A moment in the form in which dates are stored."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dates() -> st.SearchStrategy[str]:
    """Stored dates: near days' edges, near spans from now, and anywhere close."""
    edges = st.builds(
        lambda day, hours, micros: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(0, hours * 3600, micros),
        st.sampled_from(DAYS),
        st.sampled_from((0, 4, 5, 9, 23, 24)),
        st.sampled_from((-1, 0, 1)),
    )
    near = st.builds(
        lambda days, micros: NOW + timedelta(days=days, microseconds=micros),
        st.sampled_from((-366, -365, -92, -31, -30, -29, -28, -7, -1, 0, 1, 7, 30, 31)),
        st.sampled_from((-1, 0, 1)),
    )
    return st.one_of(edges, near).map(stored_date)


def single_values(type_name: str) -> st.SearchStrategy[Any]:
    """A stored value of a type."""
    if type_name == "date":
        return dates()
    if type_name == "boolean":
        return st.booleans()
    return st.sampled_from(TEXTS.get(type_name) or (INTEGERS if type_name == "integer" else FLOATS))


def values(type_name: str, *, is_array: bool) -> st.SearchStrategy[Any]:
    """A stored value or none; lists for arrays."""
    one = single_values(type_name)
    return st.none() | (st.lists(one, max_size=3) if is_array else one)


def _arguments(operator: Operator, type_name: str) -> st.SearchStrategy[Any]:
    one = st.sampled_from(DAYS + MOMENTS) if type_name == "date" else single_values(type_name)
    match operator.argument:
        case Argument.TEXT:
            pieces = [text[at : at + size] for text in TEXTS[type_name] for at in (0, 1, 3) for size in (1, 3, 40)]
            return st.sampled_from(sorted({piece for piece in pieces if piece}))
        case Argument.VALUES:
            return st.lists(one, min_size=1, max_size=3)
        case Argument.RANGE:
            least = st.sampled_from(DAYS) if type_name == "date" else one
            return st.lists(least, min_size=2, max_size=2).map(sorted)
        case Argument.SPAN:
            amounts = st.sampled_from((1, 2, 3, 7, 30, 100_000))
            return st.fixed_dictionaries({"amount": amounts, "unit": st.sampled_from(UNITS)})
    return one


def rules_with(operator: Operator, key: str, type_name: str) -> st.SearchStrategy[dict[str, Any]]:
    """A rule of this operator about a property."""
    fixed: dict[str, Any] = {"property": st.just(key), "operator": st.just(operator.key)}
    if operator.argument is not Argument.NONE:
        fixed["value"] = _arguments(operator, type_name)
    switches = {}
    if operator.is_negative:
        switches["include_null"] = st.booleans()
    if operator.folds_case:
        switches["case_sensitive"] = st.booleans()
    return st.fixed_dictionaries(fixed, optional=switches)


PROPERTIES: dict[str, tuple[str, bool]] = {
    **{f"the_{name}": (name, False) for name in TYPES},
    **{f"many_{name}": (name, True) for name in TYPES},
}


def trees(
    keys: tuple[str, ...] = tuple(PROPERTIES), *, relative: bool | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """The JSON of a group over these properties; with `relative`, only with or without moving boundaries."""

    def rules_about(key: str) -> st.SearchStrategy[dict[str, Any]]:
        type_name, is_array = PROPERTIES[key]
        fitting = [
            operator
            for operator in for_property(type_name, is_array=is_array)
            if relative is None or bool(operator.directions) is relative
        ]
        return st.sampled_from(fitting).flatmap(lambda operator: rules_with(operator, key, type_name))

    rule = st.sampled_from(keys).flatmap(rules_about)
    return st.fixed_dictionaries(
        {"match": st.sampled_from(("all", "any")), "rules": st.lists(rule, min_size=1, max_size=4)}
    )


def people(keys: tuple[str, ...] = tuple(PROPERTIES)) -> st.SearchStrategy[dict[str, Any]]:
    """The properties of a profile; what has no value is absent."""
    every = st.fixed_dictionaries(
        {key: values(name, is_array=many) for key, (name, many) in PROPERTIES.items() if key in keys}
    )
    return every.map(lambda person: {key: value for key, value in person.items() if value is not None})
