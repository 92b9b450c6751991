"""What a receiver of profiles gets, at which address, and how it tells what it has had before."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from typing import Any

import pytest

from plugins.contracts import Halt, SyncMode
from plugins.webhook import Webhook
from tests.plugins.webhook.connections import connect
from tests.plugins.webhook.exports import ALICE, BOB, change, export, kinds, person, target
from tests.plugins.webhook.people import hold
from tests.receiver import SECRET, Receiver, cut, run_receiver

# ---------------------------------------------------------------- what arrives


def test_a_message_says_all_that_should_be_held(receiver: Receiver) -> None:
    assert kinds(export(receiver, change(None, ALICE, new_groups=("gold",)))) == "c"
    (delivery,) = receiver.deliveries
    message = delivery.json
    assert message == {
        "id": delivery.headers["webhook-id"],
        "action": "upsert",
        "key": "alice@example.com",
        "old_key": None,
        "profile": ALICE,
        "groups": ["gold"],
    }
    assert (delivery.method, delivery.path) == ("POST", "/hook")
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["grouparoo-profiles"] == "1"
    assert "grouparoo-event" not in delivery.headers
    assert "grouparoo-note" not in delivery.headers


def test_the_signature_is_over_the_body_as_it_is_sent(receiver: Receiver) -> None:
    """Worked out here by hand, without the library that makes and checks it elsewhere."""
    export(
        receiver,
        change(None, {**ALICE, "name": "Zoë “the tab\t” 日本"}),
        to=target(at_once=2, template='["{{profile}}", "{{action}}"]'),
    )
    (delivery,) = receiver.deliveries
    signed = f"{delivery.headers['webhook-id']}.{delivery.headers['webhook-timestamp']}.".encode() + delivery.body
    digest = hmac.new(b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert delivery.headers["webhook-signature"].startswith("v1,")
    assert b64decode(delivery.headers["webhook-signature"].removeprefix("v1,")) == digest
    assert delivery.json == [[{**ALICE, "name": "Zoë “the tab\t” 日本"}, "upsert"]]


def test_the_app_s_headers_go_along(receiver: Receiver) -> None:
    export(receiver, person(1), headers="Authorization: Bearer open-sesame | X-Team: growth")
    assert receiver.deliveries[0].headers["authorization"] == "Bearer open-sesame"
    assert receiver.deliveries[0].headers["x-team"] == "growth"


def test_everyone_sent_anew_is_noted(receiver: Receiver) -> None:
    export(receiver, person(1), to=target(is_backfill=True))
    assert receiver.deliveries[0].headers["grouparoo-note"] == "backfill"


def test_a_changed_key_names_the_old_one(receiver: Receiver) -> None:
    moved = {**ALICE, "email": "alice@new.example.com"}
    export(receiver, change(ALICE, moved), change(BOB, {**BOB, "name": "Rob"}))
    assert [(each.json["key"], each.json["old_key"]) for each in receiver.deliveries] == [
        ("alice@new.example.com", "alice@example.com"),
        ("bob@example.com", None),
    ]


def test_a_key_that_is_someone_else_s_by_now_is_left_alone(receiver: Receiver) -> None:
    moved = {**ALICE, "email": "alice@new.example.com"}
    gone = change(BOB, None, release_old_key=False)
    assert kinds(export(receiver, change(ALICE, moved, release_old_key=False), gone)) == "cc"
    assert [(each.json["action"], each.json["old_key"]) for each in receiver.deliveries] == [("upsert", None)]


@pytest.mark.parametrize(
    ("mode", "actions"),
    [
        (SyncMode.SYNC, ["upsert", "upsert", "remove"]),
        (SyncMode.ADDITIVE, ["upsert", "upsert", "upsert"]),
        (SyncMode.ENRICH, ["update", "update", "update"]),
    ],
)
def test_the_action_follows_the_sync_mode(receiver: Receiver, mode: SyncMode, actions: list[str]) -> None:
    left = change(BOB, None, old_groups=("gold",))
    export(receiver, change(None, ALICE), change(ALICE, {**ALICE, "age": 32}), left, to=target(mode))
    assert [each.json["action"] for each in receiver.deliveries] == actions
    assert receiver.deliveries[2].json["profile"] == BOB  # as it was last, so that the receiver finds whom it is about
    assert receiver.deliveries[2].json["groups"] == []


def test_a_removal_may_go_by_another_method(receiver: Receiver) -> None:
    to = target(method="PUT", removal="delete", at_once="10")
    assert kinds(export(receiver, change(None, ALICE), change(BOB, None), person(1), to=to)) == "ccc"
    found = [(each.method, [one["key"] for one in each.json["profiles"]]) for each in receiver.deliveries]
    assert found == [("PUT", ["alice@example.com", "p1@example.com"]), ("DELETE", ["bob@example.com"])]


@pytest.mark.parametrize(("at_once", "sizes"), [("1", [1] * 5), (2, [2, 2, 1]), ("500", [5])])
def test_many_share_a_request(receiver: Receiver, at_once: Any, sizes: list[int]) -> None:
    assert kinds(export(receiver, *map(person, range(5)), to=target(at_once=at_once))) == "ccccc"
    assert [len(each.json["profiles"]) for each in receiver.deliveries] == sizes
    assert [each.headers["grouparoo-profiles"] for each in receiver.deliveries] == list(map(str, sizes))
    assert len({each.connection for each in receiver.deliveries}) == 1
    assert set(hold(receiver.deliveries)) == {f"p{number}@example.com" for number in range(5)}


def test_what_does_not_fit_into_json_is_refused_and_not_sent(receiver: Receiver) -> None:
    broken = change(None, {**BOB, "name": "\ud83d"})
    outcomes = export(receiver, change(None, ALICE), broken, to=target(at_once=10))
    assert kinds(outcomes) == "cj"
    assert "lone surrogate" in outcomes[1].reason
    assert set(hold(receiver.deliveries)) == {"alice@example.com"}


# ---------------------------------------------------------------- where it goes


@pytest.mark.parametrize("url", ["/people?x=1", "{origin}/people?x=1"])
def test_an_export_may_have_a_path_of_its_own(receiver: Receiver, url: str) -> None:
    origin = receiver.url.removesuffix("/hook")
    export(receiver, person(1), to=target(url=url.format(origin=origin)))
    assert receiver.deliveries[0].path == "/people?x=1"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{other}/people",
        "https://127.0.0.1:{port}/",
        "//127.0.0.1:{other}/",
        "http://localhost:{port}/",
    ],
)
def test_what_is_for_the_app_s_host_goes_to_no_other(receiver: Receiver, url: str) -> None:
    with run_receiver() as other:
        to = target(url=url.format(port=receiver.port, other=other.port))
        with pytest.raises(Halt, match="another place") as caught:
            export(receiver, person(1), to=to, headers="Authorization: Bearer open-sesame")
        assert other.deliveries == receiver.deliveries == []
    assert caught.value.option == "url"


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"url": "http://a b/"}, "url"),
        ({"url": "http://["}, "url"),
        ({"url": "https://bob:pw@example.com/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"method": "GET"}, "method"),
        ({"removal": "never"}, "removal"),
        *[({"at_once": value}, "at_once") for value in ("0", "501", "-1", "x", "1.5", "²", True, "9" * 99)],
    ],
)
def test_an_option_that_cannot_be_used_says_so(options: dict[str, Any], option: str) -> None:
    with connect("https://example.com/hook") as app, pytest.raises(Halt) as caught:
        app.fields(options)
    assert caught.value.option == option
    assert len(caught.value.reason) > 30


def test_an_app_that_only_receives_says_so_and_sends_nothing() -> None:
    with connect("", secret="") as app:
        result = app.test()
        with pytest.raises(Halt, match="only receives: give it a URL and a signing secret"):
            app.export(target(), [person(1)])
        with pytest.raises(Halt, match="only receives"):
            app.fields({})
    assert result.ok
    assert "only receives" in result.message


def test_without_a_secret_nothing_is_sent(receiver: Receiver) -> None:
    with pytest.raises(Halt, match="no signing secret"):
        export(receiver, person(1), secret="")
    assert receiver.deliveries == []


# ---------------------------------------------------------------- the id


def ids(receiver: Receiver) -> list[str]:
    return [each.headers["webhook-id"] for each in receiver.deliveries]


@pytest.mark.parametrize("at_once", [None, 10])
def test_the_same_again_has_the_same_id_and_body_and_another_state_another_id(
    receiver: Receiver, at_once: int | None
) -> None:
    receiver.expect(cut())
    batch = [change(None, ALICE, new_groups=("gold",)), change(None, BOB)]
    assert kinds(export(receiver, *batch, to=target(at_once=at_once)))[0] == "t"
    sent = len(receiver.deliveries)
    assert kinds(export(receiver, *batch, to=target(at_once=at_once))) == "cc"
    assert ids(receiver)[0] == ids(receiver)[sent]
    assert receiver.deliveries[0].body == receiver.deliveries[sent].body
    assert all(each.headers["idempotency-key"] == each.headers["webhook-id"] for each in receiver.deliveries)
    before = set(ids(receiver))
    export(receiver, change(None, ALICE), change(None, BOB), to=target(at_once=at_once))
    assert len(set(ids(receiver))) == len(before) + 1


def test_a_state_that_comes_back_has_a_new_id(receiver: Receiver) -> None:
    older = {**ALICE, "age": 30}
    for item in (change(None, older), change(older, ALICE), change(ALICE, older)):
        export(receiver, item)
    assert len(set(ids(receiver))) == 3


def test_where_the_change_has_an_id_it_alone_tells_a_repetition(receiver: Receiver) -> None:
    """What was held before may be in doubt by the second time: it is the same message all the same."""
    older = {**ALICE, "age": 30}
    first = change(older, ALICE, id="change 1")
    export(receiver, first)
    export(receiver, change(None, ALICE, id="change 1"))
    export(receiver, first._replace(id="change 2"))
    export(receiver, first._replace(new=older, old=ALICE, id="change 3"))
    one, again, two, three = ids(receiver)
    assert one == again
    assert receiver.deliveries[0].body == receiver.deliveries[1].body
    assert len({one, two, three}) == 3


def test_two_messages_of_one_change_have_two_ids(receiver: Receiver) -> None:
    """Where two keys are in doubt, one change takes two messages."""
    export(receiver, change(BOB, ALICE, id="change 1"), change(None, ALICE, id="change 1"))
    assert len(set(ids(receiver))) == 2


# ---------------------------------------------------------------- private addresses


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "１２７.0.0.1"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254"),
    ],
)
def test_no_way_to_write_a_private_address_gets_a_profile(receiver: Receiver, host: str) -> None:
    options = {"url": f"http://{host}:{receiver.port}/hook", "secret": SECRET, "timeout": 1}
    with Webhook(options) as app, pytest.raises(Halt, match="GROUPAROO_ALLOW_PRIVATE_HOSTS"):
        app.export(target(), [person(1)])
    assert receiver.deliveries == []
