"""Value types: the table of accepted values, and properties that hold for any value."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.types import TYPES, Rejected, compare_key, parse_array, show_array

KEYS = sorted(TYPES)


def parse(key: str, value: Any, region: str = "US") -> Any:
    return TYPES[key].parse(value, region=region)


def parse_or_reason(key: str, value: Any) -> tuple[Any, str]:
    try:
        return parse(key, value), ""
    except Rejected as error:
        return None, error.reason


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("string", "  Alice ", "Alice"),
        ("string", 12, "12"),
        ("string", 12.0, "12"),
        ("string", 12.5, "12.5"),
        ("string", True, "true"),
        ("string", Decimal("19.90"), "19.90"),
        ("string", Decimal("1E+3"), "1000"),
        ("string", b"caf\xc3\xa9", "café"),
        ("string", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("string", ["b", "a"], '["b", "a"]'),
        ("string", {"b": 1, "a": Decimal("1.5")}, '{"a": "1.5", "b": 1}'),
        ("string", date(2019, 1, 5), "2019-01-05"),
        ("string", time(10, 30), "10:30:00"),
        ("integer", 12, 12),
        ("integer", " 12 ", 12),
        ("integer", 12.0, 12),
        ("integer", "12.0", 12),
        ("integer", "-7", -7),
        ("integer", "+7", 7),
        ("integer", Decimal("12.00"), 12),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", -(2**63), -(2**63)),
        ("float", 12.5, 12.5),
        ("float", "1e3", 1000.0),
        ("float", 3, 3.0),
        ("float", Decimal("0.1"), 0.1),
        ("float", "-0", 0.0),
        ("boolean", "TRUE", True),
        ("boolean", "t", True),
        ("boolean", "Yes", True),
        ("boolean", "on", True),
        ("boolean", 1, True),
        ("boolean", b"\x01", True),
        ("boolean", "f", False),
        ("boolean", "N", False),
        ("boolean", "off", False),
        ("boolean", 0.0, False),
        ("date", "2019-01-05", "2019-01-05T00:00:00.000000Z"),
        ("date", "2019-01-05T10:11:12", "2019-01-05T10:11:12.000000Z"),
        ("date", "2019-01-05T10:11:12.5Z", "2019-01-05T10:11:12.500000Z"),
        ("date", "2019-01-05t10:11:12z", "2019-01-05T10:11:12.000000Z"),
        ("date", "2019-01-05 10:11:12+02", "2019-01-05T08:11:12.000000Z"),
        ("date", "2019-01-05T10:11:12-05:30", "2019-01-05T15:41:12.000000Z"),
        ("date", "20190105T101112Z", "2019-01-05T10:11:12.000000Z"),
        ("date", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("date", "2019-01-05T24:00:00Z", "2019-01-06T00:00:00.000000Z"),
        ("date", "20190105", "2019-01-05T00:00:00.000000Z"),
        ("date", 20190105, "2019-01-05T00:00:00.000000Z"),
        ("date", 0, "1970-01-01T00:00:00.000000Z"),
        ("date", 1546646400, "2019-01-05T00:00:00.000000Z"),
        ("date", "1546646400", "2019-01-05T00:00:00.000000Z"),
        ("date", 1546646400000, "2019-01-05T00:00:00.000000Z"),
        ("date", 1546646400.25, "2019-01-05T00:00:00.250000Z"),
        ("date", Decimal("1546646400.25"), "2019-01-05T00:00:00.250000Z"),
        ("date", -1546646400, "1920-12-28T00:00:00.000000Z"),
        ("date", date(2019, 1, 5), "2019-01-05T00:00:00.000000Z"),
        ("date", datetime(2019, 1, 5, 1), "2019-01-05T01:00:00.000000Z"),
        ("date", datetime(2019, 1, 5, 1, tzinfo=timezone(timedelta(hours=2))), "2019-01-04T23:00:00.000000Z"),
        ("date", "Jan 5, 2019", "2019-01-05T00:00:00.000000Z"),
        ("date", "5 January 2019", "2019-01-05T00:00:00.000000Z"),
        ("date", "Saturday, January 5th, 2019 at 3:04 pm", "2019-01-05T15:04:00.000000Z"),
        ("date", "Sat, 05 Jan 2019 10:11:12 GMT", "2019-01-05T10:11:12.000000Z"),
        ("date", "Sat Jan 5 10:11:12 EST 2019", "2019-01-05T15:11:12.000000Z"),
        ("date", "2019/01/05", "2019-01-05T00:00:00.000000Z"),
        ("date", "2/1/2019", "2019-02-01T00:00:00.000000Z"),
        ("date", "05.01.2019", "2019-01-05T00:00:00.000000Z"),
        ("date", "0001-01-01", "0001-01-01T00:00:00.000000Z"),
        ("email", " Alice@Example.COM ", "alice@example.com"),
        ("email", "Ünï@Example.com", "ünï@example.com"),
        ("phone_number", "(650) 253-0000", "+16502530000"),
        ("phone_number", "+44 20 7031 3000", "+442070313000"),
        ("phone_number", 6502530000, "+16502530000"),
        ("url", "HTTPS://Example.com/Path?Q=A#F", "https://example.com/Path?Q=A#F"),
        ("url", "http://Bob:Pw@Example.com:8080/", "http://Bob:Pw@example.com:8080/"),
    ],
)
def test_a_value_is_accepted_and_stored_so(key: str, value: Any, expected: Any) -> None:
    parsed = parse(key, value)
    assert parsed == expected
    assert type(parsed) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("string", "a\0b", "zero character"),
        ("string", "a\ud800b", "cannot be stored"),
        ("string", b"\xff\xfe\x00", "binary data"),
        ("string", object(), "object"),
        ("string", ["a\0", object()], "object"),
        pytest.param("string", 10**5000, "too many digits", id="string-huge"),
        ("integer", "12abc", "not a whole number"),
        ("integer", "1_000", "not a whole number"),
        ("integer", "١٢", "not a whole number"),
        ("integer", 3.7, "not a whole number"),
        ("integer", "3.7", "not a whole number"),
        ("integer", True, "not a whole number"),
        ("integer", float("nan"), "not a whole number"),
        ("integer", float("inf"), "not a whole number"),
        ("integer", Decimal("NaN"), "not a whole number"),
        ("integer", 2**63, "64 bits"),
        ("integer", "9" * 5000, "64 bits"),
        ("integer", Decimal("1e1000000"), "64 bits"),
        ("float", "NaN", "finite"),
        ("float", float("inf"), "finite"),
        ("float", "1e999", "finite"),
        pytest.param("float", 10**400, "too large", id="float-huge"),
        ("float", "12abc", "not a number"),
        ("float", "1_0", "not a number"),
        ("float", False, "not a number"),
        ("float", Decimal("sNaN"), "not a number"),
        ("boolean", "maybe", "yes or no"),
        ("boolean", 2, "yes or no"),
        ("date", "2019", "epoch"),
        ("date", 2019, "epoch"),
        ("date", "2019-02-30", "exists"),
        ("date", "10:30 am", "four digits"),
        ("date", "Monday", "four digits"),
        ("date", "January 2019", "whole date"),
        ("date", "2019-01", "whole date"),
        ("date", "1/5/19", "four digits"),
        ("date", "next 5 January 2019", "not a date"),
        ("date", "Jan 5, 2019 XYZ", "not a date"),
        ("date", "rubbish", "not a date"),
        ("date", "0001-01-01T00:00:00+05:00", "outside"),
        ("date", 10**20, "date"),
        ("date", True, "not a date"),
        ("date", float("nan"), "not a date"),
        ("date", ["2019-01-05"], "not a date"),
        ("email", "alice", "not an email address"),
        ("email", "alice@localhost", "not an email address"),
        ("email", "alice@example.test", "not an email address"),
        ("email", 12, "not an email address"),
        ("email", "a" * 65 + "@example.com", "not an email address"),
        ("phone_number", "12", "not a phone number"),
        ("phone_number", "call 650 253 0000", "not a phone number"),
        ("url", "example.com", "not a web address"),
        ("url", "javascript://alert(1)", "not a web address"),
        ("url", "http://", "not a web address"),
        ("url", "http://[::1", "not a web address"),
    ],
)
def test_a_value_is_rejected_with_a_reason(key: str, value: Any, words: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse(key, value)
    assert words in caught.value.reason
    assert str(caught.value) == caught.value.reason


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("nothing", [None, "", "  \t\n"])
def test_nothing_means_null(key: str, nothing: Any) -> None:
    assert parse(key, nothing) is None


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(alphabet=st.characters(codec=None))
    | st.binary(max_size=20)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
written_like_dates = st.from_regex(
    r"(Jan|5|2019|March|[0-3]?\d|\d{4}|10:30|pm|\+0200|EST|[a-z]{2})([ ,/.:-](Feb|\d{1,2}|\d{4}|T|Z|am|3:4:5)){0,5}",
    fullmatch=True,
)


@pytest.mark.parametrize("key", KEYS)
@given(value=st.text(alphabet=st.characters(codec=None)) | anything | written_like_dates | st.emails())
def test_parse_store_show_and_parse_again_is_a_fixed_point(key: str, value: Any) -> None:
    parsed, reason = parse_or_reason(key, value)
    if reason:
        assert len(reason) < 120
        return
    if parsed is None:
        return
    stored = json.loads(json.dumps(parsed))
    assert stored == parsed
    assert type(parsed) is TYPES[key].python_type
    shown = TYPES[key].show(stored)
    assert shown
    again = parse(key, shown)
    assert again == parsed
    assert type(again) is type(parsed)
    assert "\0" not in shown
    shown.encode()


@given(text=st.from_regex(r"[ ]{0,2}(https?|HTTP)://[A-Za-z0-9.:@\[\]ü-]{1,20}(/[^\s]{0,9})?", fullmatch=True))
def test_web_addresses_are_a_fixed_point(text: str) -> None:
    parsed, reason = parse_or_reason("url", text)
    assert reason or parse("url", parsed) == parsed


@given(
    text=st.from_regex(r"(\+|00)?[0-9 ()/.-]{5,18}(ext\. ?\d{1,4})?", fullmatch=True),
    region=st.sampled_from(["US", "DE", "IT", "BR"]),
)
def test_phone_numbers_are_a_fixed_point_in_every_region(text: str, region: str) -> None:
    try:
        parsed = parse("phone_number", text, region)
    except Rejected:
        return
    if parsed is not None:
        assert parse("phone_number", parsed, "US") == parse("phone_number", parsed, region) == parsed


@settings(max_examples=300)
@given(
    text=st.emails()
    | st.from_regex(
        r"[A-Za-z0-9_+.'-]{1,12}@([a-zA-Z0-9-]{1,8}\.){1,2}(com|test|local|c|example|x1|museum)", fullmatch=True
    )
)
def test_the_quick_way_for_emails_agrees_with_the_library(text: str) -> None:
    parsed, reason = parse_or_reason("email", text)
    try:
        expected = validate_email(text.lower(), check_deliverability=False, strict=True).normalized.lower()
    except EmailNotValidError:
        assert reason == "not an email address"
    else:
        assert parsed == expected


@given(first=st.datetimes(timezones=st.timezones()), second=st.datetimes(timezones=st.just(UTC)))
def test_the_order_of_stored_dates_is_the_order_of_time(first: datetime, second: datetime) -> None:
    (one, reason), (other, _) = parse_or_reason("date", first), parse_or_reason("date", second)
    if not reason:
        assert (one < other, one == other) == (first.astimezone(UTC) < second, first.astimezone(UTC) == second)
        assert len(one) == len(other) == 27


@given(moment=st.datetimes(min_value=datetime(1974, 1, 1), max_value=datetime(2200, 1, 1)))
def test_seconds_milliseconds_and_text_of_one_moment_are_one_date(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    seconds = int(moment.timestamp())
    written = moment.strftime("%B %d, %Y %I:%M:%S %p")
    values = [seconds, str(seconds), seconds * 1000, str(seconds * 1000), float(seconds), moment.isoformat(), written]
    assert {parse("date", value) for value in values} == {parse("date", moment)}


def test_the_region_decides_whether_the_month_comes_first() -> None:
    assert parse("date", "2/1/2019", "US") == "2019-02-01T00:00:00.000000Z"
    assert parse("date", "2/1/2019", "DE") == "2019-01-02T00:00:00.000000Z"


def test_the_region_gives_phone_numbers_their_country() -> None:
    assert parse("phone_number", "030 901820", "DE") == "+4930901820"
    assert parse_or_reason("phone_number", "030 901820")[1]


def test_every_type_has_its_place_in_the_table() -> None:
    assert KEYS == ["boolean", "date", "email", "float", "integer", "phone_number", "string", "url"]
    assert all(key == each.key and each.label for key, each in TYPES.items())


def test_equal_values_have_one_compare_key() -> None:
    assert compare_key("integer", parse("integer", "0012")) == compare_key("integer", 12) == "12"
    assert compare_key("email", parse("email", "ALICE@example.com")) == "alice@example.com"
    assert compare_key("boolean", True) == "true"


def test_long_values_have_short_compare_keys_that_still_differ() -> None:
    one, other = ("ü" * 10_000 + end for end in "ab")
    assert compare_key("string", one) != compare_key("string", other)
    assert len(compare_key("string", one).encode()) < 2000


def test_an_array_keeps_its_order_and_leaves_out_nothing_but_nulls() -> None:
    assert parse_array("integer", ["3", 1, None, "", 2.0]) == [3, 1, 2]
    assert parse_array("string", '["b", "a"]') == ["b", "a"]
    assert parse_array("string", "red shirt") == ["red shirt"]
    assert parse_array("string", "[not json]") == ["[not json]"]
    assert parse_array("string", []) == []
    assert parse_array("string", None) is None
    assert parse_array("string", " ") is None
    assert show_array("boolean", [True, False]) == "true, false"


def test_one_bad_item_rejects_the_array_and_names_its_place() -> None:
    with pytest.raises(Rejected, match="item 2: not a whole number"):
        parse_array("integer", [1, "x"])


def test_a_zone_name_is_read_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.tzname", ("CST", "CDT"))
    assert parse("date", "Jan 6, 2019 10:00 CST") == "2019-01-06T16:00:00.000000Z"
