"""The pages of erasing a person: what would go, what is under way, the proofs; and all of a person as a file."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.forms import ProductForm, actor_of, render_form, told
from core.ui.pages import PAGE_SIZE, STOP_POLLING, answer, wants_fragment
from profiles import queries, suppression
from profiles.models import Profile
from schedules.erasing import destinations, erasures, holdings, pages, previews
from schedules.erasing.models import Erasure, ErasureDestination

WORD = "erase"


class EraseForm(ProductForm):
    """Typed, so that nobody does it by mistake."""

    word = forms.CharField(
        label=format_lazy(gettext_lazy("Type “{word}” to go on"), word=WORD),
        max_length=20,
        widget=forms.TextInput({"autocomplete": "off"}),
    )

    def clean_word(self) -> str:
        """Exactly the word, whatever its case."""
        word = str(self.cleaned_data["word"]).strip().lower()
        if word != WORD:
            raise forms.ValidationError(gettext("Type the word %(word)s: nothing was done.") % {"word": WORD})
        return word


class ByHandForm(ProductForm):
    """How someone was removed where the product could not do it."""

    reason = forms.CharField(
        label=gettext_lazy("How it was removed"),
        max_length=destinations.LONGEST_REASON,
        widget=forms.Textarea({"rows": 3}),
        help_text=gettext_lazy("It stays in the proof: name no person, no address, no id."),
    )


@require_GET
@role_required(Role.ADMIN)
def list_erasures(request: HttpRequest) -> HttpResponse:
    """Every erasure: those under way, and the proofs of those that are over."""
    before = request.GET.get("before", "")
    found = pages.list_erasures()
    if before.isdecimal() and len(before) < 18:
        found = found.filter(pk__lt=int(before))
    rows = list(found[: PAGE_SIZE + 1])
    context = {
        "erasures": rows[:PAGE_SIZE],
        "next_before": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
        "is_later_page": bool(before),
    }
    return render(request, "erasures/list.html", context)


@require_GET
@role_required(Role.ADMIN)
def show_erasure(request: HttpRequest, erasure_id: int) -> HttpResponse:
    """How far it has come; when it is over, the proof."""
    shown = pages.show(get_object_or_404(Erasure.objects.select_related("work"), pk=erasure_id))
    status = STOP_POLLING if wants_fragment(request) and shown.is_finished else 200
    return answer(request, "erasures/detail.html", "erasures/_detail.html", {"shown": shown}, status=status)


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def erase(request: HttpRequest, guid: UUID) -> HttpResponse:
    """What would go, in numbers, then the word that makes it go."""
    profile = get_object_or_404(Profile, pk=guid, merged_into=None)
    form = EraseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.catching():
            made = erasures.erase(guid, actor=actor_of(request))
            to = reverse("erasures:show", args=[made.pk])
            return told(request, gettext("From now on nothing that names this person is taken in."), to=to)
    context = {
        "form": form,
        "profile": profile,
        "person": queries.name_people([profile], queries.rules_in_use())[0],
        "preview": previews.preview(guid),
        "under_way": suppression.being_erased([guid]).get(guid),
    }
    return render_form(request, "erasures/new.html", context)


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def mark_by_hand(request: HttpRequest, erasure_id: int, destination_id: int) -> HttpResponse:
    """Say how someone was removed by hand."""
    destination = get_object_or_404(ErasureDestination, pk=destination_id, erasure=erasure_id)
    form = ByHandForm(request.POST or None)
    back = reverse("erasures:show", args=[erasure_id])
    if request.method == "POST" and form.is_valid():
        with form.catching():
            reason = form.cleaned_data["reason"]
            erasures.mark_by_hand(erasure_id, destination_id, reason=reason, actor=actor_of(request))
            return told(request, gettext("%(destination)s counts as done.") % {"destination": destination}, to=back)
    return render_form(request, "erasures/by_hand.html", {"form": form, "destination": destination, "back": back})


@never_cache
@require_GET
@role_required(Role.ADMIN)
def download_person(request: HttpRequest, guid: UUID) -> StreamingHttpResponse:
    """Everything held about a person as one JSON file."""
    profile = get_object_or_404(Profile, pk=guid)
    response = StreamingHttpResponse(holdings.stream(profile), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="person-{guid}.json"'
    return response


@require_GET
@role_required(Role.VIEWER)
def show_of_profile(request: HttpRequest, guid: UUID) -> HttpResponse:
    """What a person may ask for, on their page."""
    profile = get_object_or_404(Profile, pk=guid)
    context: dict[str, Any] = {
        "profile": profile,
        "guid": guid,
        "under_way": suppression.being_erased([guid]).get(guid),
    }
    return answer(request, "erasures/of_profile.html", "erasures/_of_profile.html", context)
