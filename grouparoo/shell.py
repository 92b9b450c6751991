"""What stands around every page: the project's name, the sidebar with its counts, whether sending is on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from core.accounts.models import Role
from core.accounts.permissions import has_role
from core.ui import notices, shortcuts
from core.ui.pages import wants_fragment
from core.ui.wording import number

# Counting a small table is exact and quick; of a large one the planner's estimate is near enough for a sidebar.
_SHELL = """
select p.name, coalesce(p.sending_stopped, false), coalesce(p.sending_stopped_reason, ''),
       case when pg_relation_size('profile') < 33554432 then (select count(*) from profile where merged_into is null)
            else (select greatest(reltuples, 0)::bigint from pg_class where oid = 'profile'::regclass) end,
       pg_relation_size('profile') < 33554432,
       (select count(*) from profile_group), (select count(*) from app), (select count(*) from schedule),
       (select count(*) from profile_property_rule where state <> 'deleted'),
       (select count(*) from run where state in ('pending', 'running')),
       (select count(*) from subscription),
       exists (select 1 from notice where person_id = %(person)s and not is_promised),
       exists (select 1 from notice where person_id = %(person)s and is_promised)
       or exists (select 1 from run where state in ('pending', 'running') and trigger = 'person:' || %(person)s)
  from (select 1) always left join project p on p.id = 1
"""


# What only admins see: label, icon, namespace.
_ADMINS = (
    (gettext_noop("Team"), "users", "team"),
    (gettext_noop("API keys"), "key-round", "api_keys"),
    (gettext_noop("Audit log"), "scroll-text", "audit_log"),
    (gettext_noop("Erasures"), "eraser", "erasures"),
    (gettext_noop("Settings"), "sliders-horizontal", "settings"),
)
# What leads there from the keyboard: g, then this letter.
_LETTERS = {
    "home": "h",
    "profiles": "p",
    "groups": "g",
    "events": "e",
    "apps": "a",
    "schedules": "s",
    "runs": "r",
}


# Pages that belong to an entry of another name.
_INSIDE = {"alerts": "settings"}


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the sidebar. `count_label` follows the count for screen readers, `keys` is its shortcut."""

    label: str
    icon: str
    url: str
    is_current: bool
    count: str = ""
    count_label: str = ""
    keys: str = ""


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: nothing for nobody, and nothing for fragments, which have no sidebar."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or wants_fragment(request):
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_SHELL, {"person": user.pk})
        row = cursor.fetchone()
    name, stopped, reason, people, exact, groups, apps, schedules, rules, running, subscriptions, news, awaits = row
    here = request.resolver_match.namespace if request.resolver_match else ""
    here = _INSIDE.get(here, here)

    def item(label: str, icon: str, place: str, count: str = "", count_label: str = "") -> NavItem:
        url = reverse("home" if place == "home" else f"{place}:list")
        current = here == place or (place == "home" and request.path == url)
        keys = f"g {_LETTERS[place]}" if place in _LETTERS else ""
        return NavItem(gettext(label), icon, url, current, count, count_label, keys)

    is_admin = has_role(user, Role.ADMIN)
    people_told = number(people) if exact else gettext("about %(people)s") % {"people": number(people)}
    return {
        "project_name": name or "Grouparoo",
        "shortcuts": shortcuts.are_on(request),
        "notices": notices.unread(user.pk, looking_at=request.path) if news else [],
        "awaits_notice": awaits,
        "sending_stopped": stopped,
        "sending_stopped_reason": reason,
        "nav": [
            [
                item(gettext_noop("Home"), "house", "home"),
                item(gettext_noop("Profiles"), "user", "profiles", people_told),
                item(gettext_noop("Properties"), "list", "properties", number(rules)),
                item(gettext_noop("Groups"), "blend", "groups", number(groups)),
                item(gettext_noop("Events"), "zap", "events"),
            ],
            [
                item(gettext_noop("Apps"), "plug", "apps", number(apps)),
                item(gettext_noop("Schedules"), "clock", "schedules", number(schedules)),
                item(gettext_noop("Runs"), "refresh-cw", "runs", number(running or None), gettext("running")),
                item(gettext_noop("Outbound events"), "send", "subscriptions", number(subscriptions or None)),
            ],
            [
                item(gettext_noop("Marketplace"), "blocks", "marketplace"),
                *(item(*entry) for entry in _ADMINS if is_admin),
            ],
        ],
    }
