"""The template tags of every page: icons, numbers, times, states, charts, slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django import template
from django.contrib.auth.models import AnonymousUser
from django.forms import BaseForm
from django.forms.boundfield import BoundField
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from core.accounts import project
from core.accounts.models import Role, User
from core.accounts.permissions import has_role
from core.ui import charts, code, columns, forms, icons, next_steps, slots, wording
from core.ui.remembering import PLACES, is_narrowed
from core.ui.sorting import Sort
from core.work.models import Work
from core.work.progress import Progress, progress_of

register = template.Library()

_STATES = {
    "ok": "circle-check",
    "bad": "circle-x",
    "warn": "triangle-alert",
    "wait": "circle-pause",
    "info": "loader-circle",
    "off": "circle-dashed",
    "in": "arrow-right",
    "out": "arrow-left",
}
_LOOKS = {"wait": "warn", "off": "idle", "in": "ok", "out": "idle"}
_LONG = 160  # characters of an example on a page


@register.simple_tag
def icon(name: str, look: str = "icon") -> SafeString:
    """A lucide icon, 16 px, hidden from screen readers: the word beside it says the same."""
    return icons.draw(name + "", look + "")


@register.simple_tag
def status(state: str, word: str) -> SafeString:
    """A state as icon and word; `state` is ok, warn, bad, info, wait or off."""
    look = _LOOKS.get(state, state)
    spin = "icon spin" if state == "info" else "icon"
    return format_html('<span class="status is-{}">{}{}</span>', look, icon(_STATES[state], spin), word)


@register.filter
def number(value: float | None) -> str:
    """12486 -> 12,486."""
    return wording.number(value)


@register.filter
def decimals(value: float, digits: int) -> str:
    """12.75 with one digit -> 12.8."""
    return wording.decimals(value, digits)


@register.filter
def roughly(value: int) -> str:
    """12486 -> 12,000: an estimate should not look like a count."""
    return wording.number(wording.rounded(value))


@register.filter
def at(found: Mapping[str, Any], key: str) -> Any:
    """The entry of a mapping, or None."""
    return found.get(key)


@register.filter
def signed(value: int | None) -> str:
    """312 -> +312."""
    return "" if value is None else wording.signed(value)


@register.filter
def percent_of(part: float, whole: float) -> str:
    """Part of a whole in percent, one decimal."""
    return wording.percent(part, whole, digits=1)


@register.filter
def plural(count: int, words: str) -> str:
    """{{ 2|plural:_("person,people") }} -> 2 people. A language may have more than two forms."""
    forms = words.split(",")
    # Translators: the number of each plural form, 0 for the first: in it stands the right form of "person,people".
    place = int(ngettext("0", "1", count))
    return f"{wording.number(count)}{wording.NBSP}{forms[min(place, len(forms) - 1)]}"


@register.filter
def duration(seconds: float | None) -> str:
    """84 -> 1 min 24 s."""
    return "" if seconds is None else wording.duration(seconds)


@register.filter
def milliseconds(seconds: float) -> str:
    """0.0123 -> 12 ms; 1.5 -> 1.5 s."""
    return f"{seconds * 1000:.0f}{wording.NBSP}ms" if seconds < 1 else f"{seconds:.1f}{wording.NBSP}s"


@register.filter
def ago(at: datetime | None) -> SafeString:
    """A <time> with relative text and the full time in its title."""
    if at is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), wording.full_time(at), wording.relative(at)
    )


@register.filter
def due(at: datetime | None) -> SafeString:
    """When something starts: "in 8 min", or "due now" once its time has come."""
    if at is not None and at <= timezone.now():
        return format_html(
            '<time datetime="{}" title="{}">{}</time>', at.isoformat(), wording.full_time(at), gettext("due now")
        )
    return ago(at)


@register.filter
def day(value: date) -> str:
    """8 Jan."""
    return charts.day_label(value)


@register.simple_tag
def project_zone() -> str:
    """The city of the project's time zone where the viewer sees times in another one, to be said where it decides."""
    zone = project.current().time_zone.key
    return "" if zone == timezone.get_current_timezone_name() else wording.city_of(zone)


@register.simple_tag
def spark(values: Sequence[float]) -> SafeString:
    """A sparkline."""
    return charts.spark(values)


@register.simple_tag
def bar(share: float | str, label: str) -> SafeString:
    """A progress bar of one part, `share` in percent."""
    return charts.bar([(float(share or 0), "")], label=label)


@register.simple_tag
def coverage_bar(covered: Any) -> SafeString:
    """Of how many people a property is known, and of how many it was rejected."""
    known, rejected = (wording.percent(share, 100, digits=1) for share in (covered.known, covered.rejected))
    return charts.bar(
        [(covered.known, ""), (covered.rejected, "p3")],
        label=gettext("%(known)s known, %(rejected)s rejected") % {"known": known, "rejected": rejected},
    )


@register.inclusion_tag("ui/_job.html")
def job(what: Work | Progress, *, title: str, unit: str, href: str = "", note: str = "") -> dict[str, Any]:
    """Long work as every page shows it: a bar, how much of how much, the rate, the time left.

    `unit` is such as "person,people". Put it into an element that asks for itself again while the work goes on.
    """
    found = progress_of(what) if isinstance(what, Work) else what
    return {"progress": found, "title": title, "unit": unit, "href": href, "note": note}


@register.filter
def pace(rate: float, unit: str) -> str:
    """{{ 10.94|pace:_("row,rows") }} -> 10.9 rows a second."""
    return wording.pace(rate, unit.rsplit(",", maxsplit=1)[-1])


@register.inclusion_tag("ui/_slots.html")
def slots_at(place: str, subject: object) -> dict[str, Any]:
    """What upper apps show here about the subject."""
    return {"slots": [(slot, slot.url(subject)) for slot in slots.at(place)]}


@register.inclusion_tag("ui/_next.html", takes_context=True)
def next_step(context: dict[str, Any], place: str, subject: object = None) -> dict[str, Any]:
    """Where a step of setting up ends: the button that leads on, for those who may."""
    request: HttpRequest = context["request"]
    return {"next": next_steps.after(place, subject) if has_role(request.user, Role.EDITOR) else None}


@register.simple_tag(takes_context=True)
def with_query(context: dict[str, Any], **changes: object) -> str:
    """This page's query string with some parameters changed; None takes one away."""
    request: HttpRequest = context["request"]
    query: QueryDict = request.GET.copy()
    for key, value in changes.items():
        if value is None:
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}" if query else "?"


@register.simple_tag(takes_context=True)
def sort_head(context: dict[str, Any], by: str, label: str, look: str = "") -> SafeString:
    """A head that sorts its table; "-size": the first click brings the largest up. See `core/ui/sorting.py`."""
    sort: Sort = context["sort"]
    is_current = sort.key == by.removeprefix("-")
    href = with_query(context, sort=sort.turned_by(by), **dict.fromkeys(PLACES))
    order = ("descending" if sort.is_down else "ascending") if is_current else ""
    return format_html(
        '<th scope="col"{}{}><a href="{}">{}{}</a></th>',
        format_html(' class="{}"', look) if look else "",
        format_html(' aria-sort="{}"', order) if order else "",
        href,
        label,
        icon(f"arrow-{'down' if sort.is_down else 'up'}") if is_current else "",
    )


@register.simple_tag(takes_context=True)
def sort_link(context: dict[str, Any], by: str, label: str) -> SafeString:
    """The same for a list that is no table."""
    sort: Sort = context["sort"]
    href = with_query(context, sort=sort.turned_by(by), **dict.fromkeys(PLACES))
    current = SafeString(' aria-current="true"') if sort.key == by.removeprefix("-") else ""
    return format_html('<a href="{}"{}>{}</a>', href, current, label)


@register.simple_tag(takes_context=True)
def clear_link(context: dict[str, Any]) -> SafeString:
    """Where anything was asked of this list, the way back to the whole of it."""
    request: HttpRequest = context["request"]
    if not is_narrowed(request.GET):
        return SafeString("")
    return format_html('<a href="{}?clear=1">{}</a>', request.path, gettext("Clear"))


@register.simple_tag
def area(series: Sequence[tuple[date, int]], label: str) -> SafeString:
    """A size by day as an area chart."""
    return charts.area(series, label=label)


@register.simple_tag
def swatch(look: int) -> SafeString:
    """The colour and the dash of a part of a chart."""
    return columns.swatch(look)


@register.filter
def share_of(part: float, whole: float) -> str:
    """A change in percent of what was before, with its sign: +18.9 %."""
    text = wording.percent(abs(part), whole, digits=1)
    return f"+{text}" if part > 0 else f"{wording.MINUS}{text}"


@register.filter
def up_or_down(moved: int) -> str:
    """74 -> up 74."""
    text = gettext("up %(count)s") if moved > 0 else gettext("down %(count)s")
    return text % {"count": wording.number(abs(moved))}


@register.filter
def day_in_words(value: date) -> str:
    """Today, Yesterday, or "Wednesday, 2 January"."""
    return wording.day_in_words(value)


@register.filter
def growth_sentence(sized: Any) -> str:
    """What a size chart says: "Up 74 since 10 December, to 268 people."."""
    (first_day, first), (_, last) = sized.series[0], sized.series[-1]
    moved = last - first
    if not moved:
        text = gettext("As many as on %(day)s: %(people)s.")
    elif moved > 0:
        text = gettext("Up %(moved)s since %(day)s, to %(people)s.")
    else:
        text = gettext("Down %(moved)s since %(day)s, to %(people)s.")
    known = {"moved": wording.number(abs(moved)), "day": wording.long_day(first_day), "people": wording.people(last)}
    return text % known


@register.filter
def growth_label(sized: Any) -> str:
    """The same for whoever does not see the chart."""
    (first_day, first), (last_day, last) = sized.series[0], sized.series[-1]
    return gettext("Size by day, from %(first)s on %(first_day)s to %(last)s on %(last_day)s") % {
        "first": wording.number(first),
        "first_day": wording.long_day(first_day),
        "last": wording.number(last),
        "last_day": wording.long_day(last_day),
    }


@register.filter
def as_example(example: Any) -> str:
    """An example of an error on one line: "email: test@asdf, row: 12"."""
    if isinstance(example, dict):
        parts = (f"{key}: {value}" for key, value in example.items() if value not in (None, "", [], {}))
        text = ", ".join(parts)
    else:
        text = str(example)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


@register.filter
def cell(value: Any) -> str:
    """A value of a tool's table."""
    return wording.cell(value)


@register.filter
def because(label: str) -> str:
    """A cause inside a sentence: someone's name stays, a known cause reads on."""
    return label if " " in label and label[:1].islower() else gettext("%(label)s did it") % {"label": label}


@register.filter
def as_json(value: Any, added: str = "") -> SafeString:
    """JSON with its parts marked for colours; the value of the key `added` is marked as added."""
    return code.mark_json(value, added=added)


@register.filter
def at_clock(at: datetime) -> SafeString:
    """A <time> as the clock shows it, with the day when that is not today; it stays true while a page is open."""
    local = timezone.localtime(at)
    is_today = local.date() == timezone.localdate()
    text = f"{local:%H:%M:%S}" if is_today else f"{wording.short_day(local)}, {local:%H:%M}"
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), wording.full_time(at), text)


@register.filter
def clock(at: datetime) -> str:
    """14:00:02.114, in the viewer's time zone."""
    local = timezone.localtime(at)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"


# ---------------------------------------------------------------- forms and who may use them


@register.filter
def may(user: User | AnonymousUser, role: str) -> bool:
    """{% if request.user|may:"editor" %}: whether to show what only this role may do. The door checks again."""
    return has_role(user, role)


@register.filter
def kind_of(field: BoundField) -> str:
    """How a field is laid out: hidden, check, set or plain."""
    return forms.kind_of(field)


@register.filter
def anchor(field: BoundField) -> str:
    """The id that a link to this field jumps to; a set of choices is one place."""
    return f"{field.auto_id}_set" if forms.kind_of(field) == "set" else field.id_for_label


@register.filter
def problem_count(form: BaseForm) -> int:
    """How many errors a form shows."""
    return sum(len(errors) for errors in form.errors.values())
