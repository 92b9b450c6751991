"""Two profiles made one, and two again: the comparison before, the list of what was merged; a profile as it was."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import ProductError
from core.ui.forms import actor_of, telling
from core.ui.pages import read_guid
from core.ui.wording import value_text
from pipeline import merging
from pipeline.process import Contended
from profiles import past, queries
from profiles.models import Profile, ProfileMerge, ProfilePropertyRule


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def merge_profiles(request: HttpRequest, guid: UUID) -> HttpResponse:
    """Choose who is the same person, see what would become of both, make them one."""
    profile = get_object_or_404(Profile, pk=guid)
    rules = queries.rules_in_use()
    given = request.POST if request.method == "POST" else request.GET
    chosen = read_guid(given.get("with"))
    other = Profile.objects.filter(pk=chosen).first() if chosen is not None else None
    text = given.get("q", "").strip()
    context = {
        "profile": profile,
        "person": queries.name_people([profile], rules)[0],
        "other": queries.name_people([other], rules)[0] if other else None,
        "q": text,
        "found": queries.name_people([each for each in queries.search(text, rules) if each.pk != guid], rules),
    }
    if other is not None:
        try:
            if request.method == "POST":
                merging.merge(profile.pk, other.pk, actor=actor_of(request))
                messages.success(request, gettext("The two are one person now. This can be undone below."))
                return redirect("profiles:show", guid)
            shown = merging.preview(profile.pk, other.pk)
            by_key = {rule.key: rule for rule in rules}
            context["differences"] = [_in_words(by_key[each.key], each) for each in shown.differences]
            context["kept"] = [(by_key[key], value) for key, value in shown.kept_identities.items()]
        except ProductError as error:
            context["problem"] = error.message
        except Contended:
            context["problem"] = gettext("These two are being changed by other work right now. Try again in a moment.")
    return render(request, "profiles/merge.html", context, status=409 if "problem" in context else 200)


@require_GET
@role_required(Role.VIEWER)
def list_merges(request: HttpRequest, guid: UUID) -> HttpResponse:
    """Whom a profile took in, or became part of."""
    profile = get_object_or_404(Profile, pk=guid)
    rules = queries.rules_in_use()
    made = merging.merges_of(guid)
    others = queries.by_ids([each.loser_id if each.winner_id == guid else each.winner_id for each in made])
    people = {person.profile.pk: person for person in queries.name_people(others, rules)}
    context = {
        "profile": profile,
        "person": queries.name_people([profile], rules)[0],
        "merges": [(each, people.get(each.loser_id if each.winner_id == guid else each.winner_id)) for each in made],
    }
    return render(request, "profiles/merges.html", context)


@require_POST
@role_required(Role.EDITOR)
def undo_merge(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Make them two again."""
    made = get_object_or_404(ProfileMerge, pk=merge_id)
    with telling(request):
        merging.undo(made.pk, actor=actor_of(request))
        messages.success(
            request, gettext("They are two people again, each with their own values, identities and groups.")
        )
    return redirect("profiles:merges", made.winner_id)


@require_GET
@role_required(Role.VIEWER)
def show_past(request: HttpRequest, guid: UUID) -> HttpResponse:
    """A profile as it was known at a time."""
    profile = get_object_or_404(Profile, pk=guid)
    rules = queries.rules_in_use()
    text = request.GET.get("at", "")
    at = _read_time(text)
    context = {"profile": profile, "person": queries.name_people([profile], rules)[0], "at": at, "given": text}
    if at is not None:
        known = past.as_of(profile, at)
        context |= {
            "known": known,
            "lines": [
                (rule, _text(rule, (known.values or {}).get(rule.key)), _text(rule, profile.properties.get(rule.key)))
                for rule in rules
            ],
        }
    elif text:
        context["problem"] = gettext("This is not a time. Choose a day and an hour.")
    return render(request, "profiles/past.html", context)


def _read_time(text: str) -> datetime | None:
    """The time that was chosen, by the project's clock where it names no zone; None when it is none."""
    try:
        at = parse_datetime(text)
    except ValueError:  # written like a time, but there is no such day
        return None
    return timezone.make_aware(at) if at is not None and timezone.is_naive(at) else at


def _in_words(rule: ProfilePropertyRule, each: merging.Difference) -> tuple[ProfilePropertyRule, str, str, str]:
    return rule, _text(rule, each.winner), _text(rule, each.loser), _text(rule, each.after)


def _text(rule: ProfilePropertyRule, value: object) -> str:
    return "" if value is None else value_text(value, rule.type, is_identity=rule.is_unique)
