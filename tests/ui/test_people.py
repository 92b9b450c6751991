"""Joining, a new password, the second factor at the door, one's own zone, the audit log: pages without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import redis
import time_machine
from django.conf import settings as django_settings
from django.contrib.auth import get_user
from django.test import Client
from django.utils import timezone

from core.accounts import invitations, people, project, resets, two_factor
from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry, Invitation, User
from core.lib import rates
from core.ui import new_password, number_formats, signin, wording
from tests.accounts.factories import PASSWORD, make_alice, make_bob, make_charlie
from tests.mailserver import MailServer, run_mail_server, use
from tests.ui.shop import make_shop
from tests.ui.test_pages import read

pytestmark = pytest.mark.django_db

NEW = "another long walk by the sea"


@pytest.fixture(autouse=True)
def _nothing_counted(servers: None) -> Iterator[None]:
    rates.forget()
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        for pattern in ("rate:sign-in:*", "rate:new-password:*"):
            for key in client.scan_iter(pattern):
                client.delete(key)
    yield
    rates.forget()


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    """The product sends by a server of the test's own."""
    with run_mail_server() as server:
        use(settings, server)
        yield server


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    """Alice, signed in."""
    client.force_login(make_alice())
    return client


def with_second_factor(user: User) -> tuple[pyotp.TOTP, list[str]]:
    """Turn it on a minute ago, so that the next code is new."""
    two_factor.begin(user.pk)
    app = pyotp.TOTP(two_factor.secret_to_scan(user.pk))
    with time_machine.travel(timezone.now() - timedelta(minutes=2)):
        return app, two_factor.confirm(user.pk, app.now(), actor=Actor.person(user))


def enter_password(client: Client, *, email: str = "bob@example.com", next_page: str = "") -> Any:
    return client.post("/sign-in/", {"username": email, "password": PASSWORD, "next": next_page})


# ---------------------------------------------------------------- invitations


def test_without_email_the_link_is_shown_once_and_whoever_follows_it_is_in_the_team(admin: Client) -> None:
    page = admin.post("/team/invite/", {"email": "bob@example.com", "role": "editor"})
    assert "no-store" in page["Cache-Control"]
    [link] = re.findall(r'value="http://testserver(/invitation/[^"]+)"', page.content.decode())
    assert link not in admin.get("/team/").content.decode()
    assert "bob@example.com" in admin.get("/team/").content.decode()
    bob = Client()
    door = read(bob.get(link))
    assert "Alice invites you as editor. You will sign in with bob@example.com." in door
    wrong = bob.post(link, {"name": "Bob", "password": "short"})
    assert wrong.status_code == 422
    assert "too short" in read(wrong)
    assert bob.post(link, {"name": "Bob", "password": PASSWORD})["Location"] == "/"
    assert get_user(bob) == User.objects.get(email="bob@example.com")
    assert "Welcome, Bob. You are in the team as editor." in read(bob.get("/"))
    again = Client().get(link)
    assert again.status_code == 404
    assert "Ask an admin of your team for a new one." in read(again)
    assert "Invited" not in read(admin.get("/team/"))


def test_with_email_it_is_sent_and_the_link_is_on_no_page(admin: Client, mail: MailServer) -> None:
    page = admin.post("/team/invite/", {"email": "bob@example.com", "role": "viewer"}, follow=True)
    assert "An invitation is on its way to bob@example.com." in read(page)
    assert "/invitation/" not in page.content.decode()
    [letter] = mail.letters
    assert (letter["To"], letter["Subject"]) == ("bob@example.com", "Alice invites you to Grouparoo")
    [link] = re.findall(r"http://testserver(/\S+)", letter.get_content())
    assert Client().get(link).status_code == 200


def test_a_mail_server_that_refuses_is_quoted_and_the_link_is_shown_instead(admin: Client, mail: MailServer) -> None:
    mail.refuses = b"550 5.1.1 No such mailbox"
    page = read(admin.post("/team/invite/", {"email": "bob@example.com", "role": "viewer"}))
    assert "The email to bob@example.com could not be sent" in page
    assert "No such mailbox" in page
    assert Invitation.objects.count() == 1


def test_an_invitation_is_sent_again_and_revoked_from_the_teams_page(admin: Client) -> None:
    invitation, first = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)
    page = admin.post(f"/team/invitations/{invitation.pk}/send-again/").content.decode()
    [second] = re.findall(r'value="http://testserver(/invitation/[^"]+)"', page)
    assert Client().get(f"/invitation/{first}/").status_code == 404
    assert Client().get(second).status_code == 200
    admin.post(f"/team/invitations/{invitation.pk}/revoke/")
    assert Client().get(second).status_code == 404
    told = admin.post(f"/team/invitations/{invitation.pk}/send-again/", follow=True)
    assert "This invitation was revoked. Invite them anew." in read(told)


# ---------------------------------------------------------------- a new password


def test_the_answer_is_the_same_whosever_the_address_is(client: Client, mail: MailServer) -> None:
    make_bob()
    known, unknown = (
        client.post("/new-password/", {"email": email}, follow=True) for email in ("bob@example.com", "eve@example.com")
    )
    assert read(known) == read(unknown)
    assert new_password.SENT in read(known)


def test_the_whole_way_from_forgetting_to_signing_in(client: Client, mail: MailServer) -> None:
    make_bob()
    assert 'href="/new-password/"' in client.get("/sign-in/").content.decode()
    client.post("/new-password/", {"email": "bob@example.com"})
    assert resets.send_some()
    [link] = re.findall(r"http://testserver(/\S+)", mail.letters[0].get_content())
    assert client.post(link, {"password": "short"}).status_code == 422
    assert client.post(link, {"password": NEW})["Location"] == "/sign-in/"
    assert client.get(link).status_code == 404
    answer = client.post("/sign-in/", {"username": "bob@example.com", "password": NEW})
    assert answer["Location"] == "/"


def test_asking_is_limited_by_address_and_by_email_known_or_not(
    client: Client, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bob()
    for email in ("bob@example.com", "eve@example.com"):
        for _ in range(new_password.MOST_PER_EMAIL):
            assert client.post("/new-password/", {"email": email}).status_code == 302
        refused = client.post("/new-password/", {"email": email.upper()})
        assert refused.status_code == 422
        assert "too many attempts" in read(refused)
    monkeypatch.setattr(new_password, "MOST_PER_ADDRESS", 10)
    assert client.post("/new-password/", {"email": "charlie@example.com"}).status_code == 422
    elsewhere = client.post("/new-password/", {"email": "charlie@example.com"}, REMOTE_ADDR="10.9.9.9")
    assert elsewhere.status_code == 302


def test_without_email_the_page_says_whom_to_ask_and_an_admin_makes_the_link(admin: Client) -> None:
    bob = make_bob()
    visitor = Client()
    assert "Ask an admin of your team" in read(visitor.get("/new-password/"))
    assert visitor.post("/new-password/", {"email": "bob@example.com"}).status_code == 200
    page = admin.post(f"/team/{bob.pk}/reset-link/")
    assert "no-store" in page["Cache-Control"]
    [link] = re.findall(r'value="http://testserver(/new-password/[^"]+)"', page.content.decode())
    assert visitor.post(link, {"password": NEW}).status_code == 302
    bob.refresh_from_db()
    assert bob.check_password(NEW)


# ---------------------------------------------------------------- the second factor at the door


def test_a_right_password_alone_lets_nobody_in_who_has_a_second_factor(client: Client) -> None:
    app, _ = with_second_factor(make_bob())
    assert enter_password(client, next_page="/groups/")["Location"] == "/sign-in/code/"
    assert get_user(client).is_anonymous
    assert client.get("/groups/").status_code == 302
    assert client.get("/api/v1/groups/").status_code == 401
    wrong = client.post("/sign-in/code/", {"code": "12345"})
    assert wrong.status_code == 422
    assert "This code is wrong or was used before." in read(wrong)
    right = client.post("/sign-in/code/", {"code": app.now()})
    assert right["Location"] == "/groups/"
    assert client.get("/groups/").status_code == 200


def test_a_code_does_not_serve_twice_and_a_recovery_code_serves_once(client: Client) -> None:
    app, codes = with_second_factor(make_bob())
    code = app.now()
    for given, lets_in in ((code, True), (code, False), (codes[3], True), (codes[3], False)):
        visitor = Client()
        enter_password(visitor)
        assert (visitor.post("/sign-in/code/", {"code": given}).status_code == 302) is lets_in


def test_the_code_page_alone_opens_nothing_and_forgets_after_ten_minutes(client: Client) -> None:
    app, _ = with_second_factor(make_bob())
    assert client.post("/sign-in/code/", {"code": app.now()})["Location"] == "/sign-in/"
    enter_password(client)
    with time_machine.travel(timezone.now() + timedelta(seconds=signin.SECONDS_FOR_THE_CODE + 1)):
        late = client.post("/sign-in/code/", {"code": app.now()}, follow=True)
    assert "Enter your email and password first." in read(late)
    assert get_user(client).is_anonymous


@pytest.mark.parametrize("meanwhile", ["password", "off"])
def test_a_password_that_is_no_longer_right_is_not_remembered(client: Client, meanwhile: str) -> None:
    make_alice()
    bob = make_bob()
    app, _ = with_second_factor(bob)
    enter_password(client)
    if meanwhile == "password":
        people.set_password(bob.pk, NEW, actor=SYSTEM)
    else:
        people.set_active(bob.pk, False, actor=SYSTEM)
    assert client.post("/sign-in/code/", {"code": app.now()})["Location"] == "/sign-in/"
    assert get_user(client).is_anonymous


def test_after_too_many_wrong_codes_the_page_says_when_to_try_again(client: Client) -> None:
    app, _ = with_second_factor(make_bob())
    enter_password(client)
    for _ in range(two_factor.MOST_FAILURES):
        client.post("/sign-in/code/", {"code": "nonsense"})
    page = client.post("/sign-in/code/", {"code": app.now()})
    assert "Try again in 15 minutes." in read(page)
    assert get_user(client).is_anonymous


def test_the_code_page_leads_to_no_other_site(client: Client) -> None:
    app, _ = with_second_factor(make_bob())
    enter_password(client, next_page="https://evil.example.com/")
    assert client.post("/sign-in/code/", {"code": app.now()})["Location"] == "/"


def test_one_sets_it_up_keeps_the_codes_and_turns_it_off_with_the_password(client: Client) -> None:
    bob = make_bob()
    client.force_login(bob)
    client.post("/account/two-factor/begin/")
    page = client.get("/account/two-factor/").content.decode()
    assert 'class="qr"' in page
    secret = two_factor.secret_to_scan(bob.pk)
    assert secret in re.sub(r"\s", "", page)
    assert client.post("/account/two-factor/", {"code": "000000"}).status_code == 422
    shown = client.post("/account/two-factor/", {"code": pyotp.TOTP(secret).now()})
    codes = re.findall(r"<code>([a-z2-7-]{19})</code>", shown.content.decode())
    assert len(codes) == 10
    assert codes[0] not in client.get("/account/two-factor/").content.decode()
    assert secret not in client.get("/account/two-factor/").content.decode()
    renewed = client.post("/account/two-factor/codes/").content.decode()
    assert len(re.findall(r"<code>([a-z2-7-]{19})</code>", renewed)) == 10
    assert client.post("/account/two-factor/off/", {"password": "wrong"}).status_code == 422
    assert two_factor.is_on(bob.pk)
    client.post("/account/two-factor/off/", {"password": PASSWORD})
    assert not two_factor.is_on(bob.pk)


def test_where_the_team_wants_it_people_set_it_up_at_their_next_sign_in(client: Client) -> None:
    bob = make_bob()
    client.force_login(bob)
    project.update({"two_factor_required": True}, actor=SYSTEM)
    project.forget()
    assert client.get("/groups/").status_code == 200, "who is signed in goes on"
    client.logout()
    assert enter_password(client, next_page="/groups/")["Location"] == "/groups/"
    for path in ("/groups/", "/", "/account/", "/account/sessions/end-others/"):
        assert client.get(path)["Location"] == "/account/two-factor/", path
    refused = client.get("/api/v1/groups/")
    assert refused.status_code == 403
    assert "Set up two-factor sign-in" in refused.json()["error"]["message"]
    assert "Your team wants everyone to sign in with a code" in read(client.get("/account/two-factor/"))
    client.post("/account/two-factor/begin/")
    app = pyotp.TOTP(two_factor.secret_to_scan(bob.pk))
    client.post("/account/two-factor/", {"code": app.now()})
    assert client.get("/groups/").status_code == 200
    assert client.get("/api/v1/groups/").status_code == 200
    told = client.post("/account/two-factor/off/", {"password": PASSWORD}, follow=True)
    assert "Your team wants everyone to sign in with two factors." in read(told)
    assert two_factor.is_on(bob.pk)
    assert client.post("/sign-out/").status_code == 302


def test_once_the_team_no_longer_wants_it_nobody_has_to_set_it_up(client: Client) -> None:
    project.update({"two_factor_required": True}, actor=SYSTEM)
    project.forget()
    make_bob()
    enter_password(client)
    assert client.get("/")["Location"] == "/account/two-factor/"
    project.update({"two_factor_required": False}, actor=SYSTEM)
    project.forget()
    assert client.get("/").status_code == 200
    assert client.get("/api/v1/groups/").status_code == 200


def test_a_very_long_project_name_still_fits_into_the_picture(client: Client) -> None:
    project.update({"name": "🧵" * 200}, actor=SYSTEM)
    project.forget()
    bob = make_bob()
    client.force_login(bob)
    client.post("/account/two-factor/begin/")
    assert 'class="qr"' in client.get("/account/two-factor/").content.decode()


def test_whoever_joins_where_the_team_wants_it_sets_it_up_first(client: Client) -> None:
    project.update({"two_factor_required": True}, actor=SYSTEM)
    project.forget()
    _, token = invitations.invite("bob@example.com", "viewer", actor=SYSTEM)
    client.post(f"/invitation/{token}/", {"name": "Bob", "password": PASSWORD})
    assert client.get("/")["Location"] == "/account/two-factor/"


def test_an_admin_turns_it_off_for_someone_who_lost_it_and_that_is_written_down(admin: Client) -> None:
    bob = make_bob()
    with_second_factor(bob)
    assert "Two-factor sign-in On" in read(admin.get(f"/team/{bob.pk}/"))
    asked = read(admin.get(f"/team/{bob.pk}/two-factor-off/"))
    assert "Make sure that it is really them who asks." in asked
    assert two_factor.is_on(bob.pk)
    admin.post(f"/team/{bob.pk}/two-factor-off/")
    assert not two_factor.is_on(bob.pk)
    assert AuditEntry.objects.get(action="person.two_factor_off").actor_label == "Alice"
    assert "Alice turned two-factor sign-in off for the person Bob" in read(admin.get("/audit-log/"))
    visitor = Client()
    assert enter_password(visitor)["Location"] == "/"


# ---------------------------------------------------------------- one's own time zone


def test_times_are_shown_in_ones_own_zone_and_the_project_s_without_one(client: Client) -> None:
    project.update({"time_zone": "America/New_York"}, actor=SYSTEM)
    project.forget()
    charlie = make_charlie()
    client.force_login(charlie)
    AuditEntry.objects.all().update(at=datetime(2026, 1, 8, 12, 0, tzinfo=UTC))
    alice = Client()
    alice.force_login(make_alice())
    assert "07:00:00 New York" in alice.get("/audit-log/").content.decode()
    given = {"name": "Alice", "time_zone": "Asia/Tokyo"}
    assert alice.post("/account/", given).status_code == 302
    assert "21:00:00 Tokyo" in alice.get("/audit-log/").content.decode()
    assert "in Tokyo." in read(alice.get("/"))
    assert "in New York." in read(client.get("/")), "everyone else's stays"
    assert alice.post("/account/", {"name": "Alice", "time_zone": "Mars/Olympus"}).status_code == 422


def test_numbers_are_shown_as_one_writes_them_and_as_ever_to_everyone_else(client: Client) -> None:
    run = make_shop(people=10).running
    assert run is not None
    page, alice = f"/runs/{run.pk}/", Client()
    client.force_login(make_charlie())
    alice.force_login(make_alice())
    for chosen, written in (
        ("comma_point", "5,595"),
        ("point_comma", "5.595"),
        ("space_comma", "5\u202f595"),
        ("apostrophe_point", "5’595"),
    ):
        assert alice.post("/account/", {"name": "Alice", "number_format": chosen}).status_code == 302
        assert written in alice.get(page).content.decode()
        assert "5,595" in client.get(page).content.decode()
    assert alice.post("/account/", {"name": "Alice", "number_format": "roman"}).status_code == 422
    alice.post("/account/", {"name": "Alice", "number_format": "point_comma"})
    assert AuditEntry.objects.filter(action="person.update", after__number_format="point_comma").exists()


@pytest.mark.parametrize(
    ("value", "written"),
    [(12486, "12.486"), (-1234.56, "−1.234,6"), (2.5, "2,5"), (0.004, "0"), (None, ""), (1e9, "1.000.000.000")],
)
def test_a_number_with_the_viewers_marks(value: float | None, written: str) -> None:
    with number_formats.override("point_comma"):
        assert wording.number(value) == written
    with number_formats.override("no such format"):
        assert wording.percent(1, 8, digits=1) == "12.5\u00a0%"
    with number_formats.override("space_comma"):
        assert wording.percent(1, 8, digits=1) == "12,5\u00a0%"


def test_where_the_projects_zone_decides_the_page_says_so(client: Client) -> None:
    project.update({"time_zone": "America/New_York"}, actor=SYSTEM)
    project.forget()
    bob = make_bob()
    client.force_login(bob)
    note = "in New York, the project’s time zone"
    times, builder = "/schedules/times/?cron=30+9+*+*+*", "/groups/new/"
    assert "09:30" in read(client.get(times))
    assert note not in read(client.get(times)) + read(client.get(builder))
    people.change_user(bob.pk, time_zone="Asia/Tokyo", actor=SYSTEM)
    assert "09:30" in read(client.get(times)), "a schedule keeps to the project's clock"
    assert note in read(client.get(times))
    assert "Days begin at midnight in New York" in read(client.get(builder))


# ---------------------------------------------------------------- the audit log


def test_the_audit_log_is_asked_by_day_in_the_viewers_zone(admin: Client) -> None:
    people.change_user(User.objects.get().pk, time_zone="Asia/Tokyo", actor=SYSTEM)
    bob = make_bob()
    AuditEntry.objects.exclude(subject_id=str(bob.pk)).delete()
    AuditEntry.objects.update(at=datetime(2026, 1, 8, 16, 0, tzinfo=UTC))  # the 9th in Tokyo
    shown = "made the person Bob"
    for query, is_there in (
        ("since=2026-01-09&until=2026-01-09", True),
        ("since=2026-01-10", False),
        ("until=2026-01-08", False),
        ("since=nonsense&until=9999-12-31", True),
    ):
        assert (shown in read(admin.get(f"/audit-log/?{query}"))) is is_there, query


def test_a_change_shows_what_of_a_list_came_and_went_and_what_of_an_object_differs(admin: Client) -> None:
    alice = User.objects.get()
    AuditEntry.objects.create(
        actor_kind="person", actor_id=alice.pk, actor_label="Alice", action="app.update", subject_kind="app",
        subject_id="1", subject_label="Shop",
        before={"options": {"host": "old.example.com", "port": 5432}, "tags": ["red", "blue"]},
        after={"options": {"host": "new.example.com", "port": 5432}, "tags": ["blue", "green"]},
    )  # fmt: skip
    page = read(admin.get("/audit-log/"))
    assert "Options, host old.example.com new.example.com" in page
    assert "Tags red green" in page
    assert "5432" not in page


def test_no_token_password_or_code_of_people_is_in_the_audit_log(admin: Client) -> None:
    bob = make_bob()
    app, codes = with_second_factor(bob)
    _, token = invitations.invite("charlie@example.com", "viewer", actor=SYSTEM)
    _, path = resets.make_path_by_hand(bob.pk, actor=SYSTEM)
    people.set_password(bob.pk, NEW, actor=SYSTEM)
    page = admin.get("/audit-log/").content.decode()
    assert "made a link for a new password of" in page
    for secret in (app.secret, codes[0], token, path, NEW, PASSWORD):
        assert secret not in page
