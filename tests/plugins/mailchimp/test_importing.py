"""Members come in the order of their last change, each once, however crowded a second is and whoever moves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plugins.contracts import Halt, Mark, RecordSource, Retry
from plugins.mailchimp.standin.server import Standin
from tests.plugins.mailchimp.conftest import LIST, LocalMailchimp
from tests.plugins.mailchimp.exports import put_member

SOURCE = RecordSource(table=LIST, changed_column="last_changed", id_column="email_address")
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
CROWD = 2300


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def put_crowd(standin: Standin, count: int = CROWD, *, second: float = 0, name: str = "person") -> list[str]:
    """Members who all changed in one second; their addresses in order."""
    emails = [f"{name}{number:05}@example.com" for number in range(count)]
    with standin.store.transaction():
        for email in emails:
            put_member(standin, email, changed=at(second))
    return emails


def read_emails(app: LocalMailchimp, *, after: Mark | None = None, limit: int = 1000) -> tuple[list[str], Mark]:
    """The addresses behind a mark, page by page, and the last mark."""
    emails: list[str] = []
    while True:
        page = app.read_page(SOURCE, after=after, limit=limit)
        place = page.columns.index("email_address")
        emails += [row[place] for row in page.rows]
        after = page.mark
        if not page.more:
            return emails, after


def read_row(app: LocalMailchimp) -> dict[str, Any]:
    page = app.read_page(SOURCE, after=None, limit=1)
    return dict(zip(page.columns, page.rows[0], strict=True))


def test_a_row_holds_everything_that_mailchimp_knows_of_a_member(standin: Standin, mailchimp: LocalMailchimp) -> None:
    values = {"FNAME": "Alice", "VISITS": 3, "JOINED": "2024-02-29", "BIRTHDAY": "12/24", "SITE": ""}
    put_member(
        standin,
        "Alice@example.com",
        status="unsubscribed",
        reason="N/A (Unsubscribed by an admin)",
        merge_fields=values,
        vip=True,
        joined=at(-60),
        changed=at(0),
    )
    for tag in ("gold", "silver"):
        standin.store.set_tag(LIST, standin.store.member(LIST, "alice@example.com")["hash"], tag, active=True)  # type: ignore[index]
    row = read_row(mailchimp)
    assert {key: value for key, value in row.items() if value is not None} == {
        "email_address": "Alice@example.com",
        "status": "unsubscribed",
        "unsubscribe_reason": "N/A (Unsubscribed by an admin)",
        "last_changed": NOON,
        "timestamp_opt": NOON - timedelta(minutes=1),
        "member_rating": 2,
        "vip": True,
        "tags": ["gold", "silver"],
        "FNAME": "Alice",
        "VISITS": 3.0,
        "JOINED": "2024-02-29T00:00:00.000000Z",
        "BIRTHDAY": "12/24",
    }


def test_columns_have_the_types_of_what_they_give(mailchimp: LocalMailchimp) -> None:
    types = {column.name: column.type for column in mailchimp.tables()[0].columns}
    assert (types["last_changed"], types["vip"], types["VISITS"]) == ("date", "boolean", "float")
    assert types["BIRTHDAY"] == "string", "a birthday has no year"


def test_whoever_left_bounced_or_was_archived_comes_in_their_place(standin: Standin, mailchimp: LocalMailchimp) -> None:
    statuses = ("subscribed", "archived", "unsubscribed", "archived", "cleaned", "pending", "transactional")
    for number, status in enumerate(statuses):
        put_member(standin, f"person{number}@example.com", status=status, changed=at(number))
    for limit in (1, 2, 100):
        assert read_emails(mailchimp, limit=limit)[0] == [f"person{number}@example.com" for number in range(7)]
    page = mailchimp.read_page(SOURCE, after=None, limit=100)
    assert [row[page.columns.index("status")] for row in page.rows] == list(statuses)


def test_a_member_of_more_tags_than_an_answer_holds_has_them_all(standin: Standin, mailchimp: LocalMailchimp) -> None:
    put_member(standin, "alice@example.com")
    hash_ = standin.store.members(LIST, limit=1)[0][0]["hash"]
    names = [f"tag {number:02}" for number in range(60)]
    for name in names:
        standin.store.set_tag(LIST, hash_, name, active=True)
    assert read_row(mailchimp)["tags"] == names


@pytest.fixture(params=["after", "at"])
def since(request: pytest.FixtureRequest, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both readings of Mailchimp's "since" and "before": without the second itself, and with it."""
    if request.param == "at":
        read = mailchimp.line.lists.get_list_members_info

        def read_with_the_second_itself(list_id: str, **parameters: Any) -> Any:
            for name, by in (("since_last_changed", -1), ("before_last_changed", 1)):
                if name in parameters:
                    moment = datetime.fromisoformat(parameters[name]) + timedelta(seconds=by)
                    parameters[name] = moment.isoformat()
            return read(list_id, **parameters)

        monkeypatch.setattr(mailchimp.line.lists, "get_list_members_info", read_with_the_second_itself)


@pytest.mark.usefixtures("since")
def test_more_members_of_one_second_than_a_page_holds_come_each_once(
    standin: Standin, mailchimp: LocalMailchimp
) -> None:
    expected = put_crowd(standin, 3, second=-5, name="first")
    expected += put_crowd(standin, second=0)
    expected += put_crowd(standin, 5, second=1, name="next")
    expected += put_crowd(standin, 1200, second=2, name="again")
    expected += put_crowd(standin, 2, second=60, name="late")
    emails, mark = read_emails(mailchimp)
    assert emails == expected
    assert read_emails(mailchimp, after=mark) == ([], mark)
    middle = Mark(changed=at(0), id=expected[1500])
    assert read_emails(mailchimp, after=middle)[0] == expected[1501:]
    assert mailchimp.count(SOURCE, after=None) == len(expected)


@pytest.mark.usefixtures("since")
def test_a_rewound_mark_takes_in_its_second(standin: Standin, mailchimp: LocalMailchimp) -> None:
    for number in range(4):
        put_member(standin, f"person{number}@example.com", changed=at(number))
    mark = mailchimp.rewind(Mark(changed=at(3), id="person3@example.com"), lookback=1)
    assert read_emails(mailchimp, after=mark)[0] == ["person2@example.com", "person3@example.com"]
    assert mailchimp.count(SOURCE, after=mark) == 2


def test_a_long_audience_takes_two_calls_a_page(standin: Standin, mailchimp: LocalMailchimp) -> None:
    expected = [email for number in range(30) for email in put_crowd(standin, 100, second=number, name=f"p{number:02}")]
    mailchimp.merge_fields(LIST)
    standin.calls.clear()
    assert read_emails(mailchimp)[0] == expected
    assert len(standin.calls) <= 3000 / 900 + 2, "nearly whole pages, and one of the archived"


def while_reading(app: LocalMailchimp, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], *, calls: int) -> None:
    """Do something behind the back of whoever reads, after the first so many calls for members."""
    read = app.line.lists.get_list_members_info
    left = list(range(calls))

    def read_and_act(*args: Any, **parameters: Any) -> Any:
        answer = read(*args, **parameters)
        if left:
            left.pop()
            act()
        return answer

    monkeypatch.setattr(app.line.lists, "get_list_members_info", read_and_act)


def test_whoever_changes_while_a_crowd_is_read_moves_nobody_out_of_sight(
    standin: Standin, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = put_crowd(standin)
    changed = iter(expected)
    while_reading(mailchimp, monkeypatch, lambda: put_member(standin, next(changed)), calls=6)
    emails, _ = read_emails(mailchimp)
    assert set(emails) == set(expected)
    assert emails[-6:] == expected[:6], "they come again at the end"


def test_a_crowd_that_never_stands_still_is_read_later(
    standin: Standin, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = iter(put_crowd(standin))
    while_reading(mailchimp, monkeypatch, lambda: put_member(standin, next(changed)), calls=1000)
    with pytest.raises(Retry, match="Too many members"):
        read_emails(mailchimp)


def test_whoever_changes_while_a_run_reads_comes_again_at_its_end(
    standin: Standin, mailchimp: LocalMailchimp, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [email for number in range(25) for email in put_crowd(standin, 60, second=number, name=f"p{number:02}")]
    while_reading(mailchimp, monkeypatch, lambda: put_member(standin, expected[70], status="unsubscribed"), calls=1)
    emails, _ = read_emails(mailchimp, limit=300)
    assert set(emails) == set(expected)
    assert emails[-1] == expected[70]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (RecordSource(), "names no audience"),
        (RecordSource(table=LIST, changed_column="timestamp_opt"), "by last_changed alone"),
        (RecordSource(table=LIST, id_column="FNAME"), "choose email_address as the id column"),
        (RecordSource(table="public.users"), "not the id of a Mailchimp audience"),
        (RecordSource(table="nosuchlist"), "does not exist any more"),
    ],
)
def test_a_source_that_cannot_be_read_says_what_to_choose(
    mailchimp: LocalMailchimp, source: RecordSource, said: str
) -> None:
    with pytest.raises(Halt, match=said):
        mailchimp.read_page(source, after=None, limit=10)


def test_a_mark_that_is_no_time_says_so(mailchimp: LocalMailchimp) -> None:
    with pytest.raises(Halt, match="no time"):
        mailchimp.read_page(SOURCE, after=Mark(changed="soon", id="x"), limit=10)
