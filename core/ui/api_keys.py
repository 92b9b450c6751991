"""The pages of API keys: who has which, a new one with its token shown once, revoking. For admins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from core.accounts import keys
from core.accounts.models import ApiKey, Role
from core.accounts.permissions import SCOPES, role_required
from core.ui.forms import ProductForm, Question, actor_of, confirmed, render_form, told
from core.ui.wording import relative

_LIFETIMES = (
    ("30", gettext_lazy("In 30 days")),
    ("90", gettext_lazy("In 90 days")),
    ("365", gettext_lazy("In a year")),
    ("", gettext_lazy("Never")),
)
_TOPICS = {
    "profiles": gettext_lazy("people and properties"),
    "apps": gettext_lazy("Apps"),
    "groups": gettext_lazy("groups"),
    "schedules": gettext_lazy("schedules"),
    "runs": gettext_lazy("runs"),
    "team": gettext_lazy("the team, API keys, settings and audit log"),
    "privacy": gettext_lazy("everything of a person, and erasures"),
}

_LISTS = {"team": "people", "privacy": "erasures"}  # where a topic's first list is not named as it is


def scope_label(scope: str) -> str:
    """What a scope lets a program do: "profiles:write" -> "Change people and properties"."""
    topic, access = scope.split(":")
    if topic == "events":
        return gettext("Send and read events") if access == "write" else gettext("Read events")
    text = gettext("Read %(what)s") if access == "read" else gettext("Read and change %(what)s")
    return text % {"what": _TOPICS.get(topic, topic)}


def say_scopes(scopes: Sequence[str]) -> str:
    """Several in one line: "Send and read events, read people and properties"."""
    first, *rest = [scope_label(scope) for scope in scopes]
    return ", ".join([first, *(f"{label[0].lower()}{label[1:]}" for label in rest)])


def first_list(scopes: Sequence[str]) -> str:
    """The path of a list that a key with these scopes may read; to write a topic includes to read it."""
    topic = scopes[0].split(":")[0]
    return f"/api/v1/{_LISTS.get(topic, topic)}/"


class KeyForm(ProductForm):
    """A new key."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("The program that uses it, such as Shop checkout."),
        strip=True,
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"),
        choices=lambda: [(scope, scope_label(scope)) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("The less the better: a key that leaks can do just this."),
        error_messages={"required": gettext_lazy("Choose at least one thing that the key may do.")},
    )
    lifetime = forms.ChoiceField(label=gettext_lazy("It expires"), choices=_LIFETIMES, initial="365", required=False)


@require_GET
@role_required(Role.ADMIN)
def list_keys(request: HttpRequest) -> HttpResponse:
    """Keys that open something, then those that no longer do."""
    now = timezone.now()
    found = ApiKey.objects.select_related("created_by").order_by("-pk")
    rows = [(key, say_scopes(key.scopes), _is_on(key)) for key in found]
    rows.sort(key=lambda row: not row[2])
    return render(request, "accounts/keys.html", {"rows": rows, "now": now})


@never_cache
@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def create_key(request: HttpRequest) -> HttpResponse:
    """A new key. The page that answers is the only one that ever shows its token."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        expires_at = timezone.now() + timedelta(days=int(given["lifetime"])) if given["lifetime"] else None
        with form.catching({"expires_at": "lifetime"}):
            key, token = keys.create_key(given["name"], given["scopes"], expires_at=expires_at, actor=actor_of(request))
            return render(
                request, "accounts/key_created.html", {"key": key, "token": token, "reads": first_list(key.scopes)}
            )
    return render_form(request, "accounts/key_create.html", {"form": form})


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def revoke_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Ask, then make a key open nothing."""
    key = get_object_or_404(ApiKey, pk=key_id)
    used = (
        gettext("It was last used %(last_used_at)s.") % {"last_used_at": relative(key.last_used_at)}
        if key.last_used_at
        else gettext("It was never used.")
    )
    question = Question(
        gettext("Revoke the API key %(key)s?") % {"key": key},
        [gettext("Programs that use it are refused from now on. This cannot be undone."), used],
        verb=gettext("Revoke key"),
        back=reverse("api_keys:list"),
    )

    def revoke() -> HttpResponse:
        keys.revoke_key(key.pk, actor=actor_of(request))
        return told(
            request, gettext("The key %(key)s opens nothing any more.") % {"key": key}, to=reverse("api_keys:list")
        )

    return confirmed(request, question, revoke)


def _is_on(key: ApiKey) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > timezone.now())
