"""The admins' pages of invitations: ask someone into the team, send again, revoke."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts import invitations, mail
from core.accounts.models import Invitation, Role
from core.accounts.permissions import role_required
from core.lib.errors import Refused
from core.ui.forms import ProductForm, Question, actor_of, confirmed, render_form, told
from core.ui.team import ROLES


class InvitationForm(ProductForm):
    """Whom to ask into the team."""

    email = forms.CharField(
        label=gettext_lazy("Email"),
        max_length=254,
        help_text=gettext_lazy("They sign in with it."),
        widget=forms.EmailInput({"autocomplete": "off"}),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=ROLES, initial=Role.VIEWER, widget=forms.RadioSelect)


@never_cache
@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def invite(request: HttpRequest) -> HttpResponse:
    """Ask someone into the team, by email or by a link that is shown once."""
    form = InvitationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        with form.catching():
            invitation, token = invitations.invite(given["email"], given["role"], actor=actor_of(request))
            return _hand_over(request, invitation, token)
    return render_form(request, "accounts/invite.html", {"form": form, "sends_email": mail.is_on()})


@never_cache
@require_POST
@role_required(Role.ADMIN)
def send_again(request: HttpRequest, invitation_id: int) -> HttpResponse:
    """A new link for someone who lost theirs or let it grow old."""
    try:
        invitation, token = invitations.renew(invitation_id, actor=actor_of(request))
    except Refused as error:
        messages.error(request, error.message)
        return redirect("team:list")
    return _hand_over(request, invitation, token)


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def revoke(request: HttpRequest, invitation_id: int) -> HttpResponse:
    """Ask, then make a link lead nowhere."""
    invitation = get_object_or_404(Invitation, pk=invitation_id)
    question = Question(
        gettext("Revoke the invitation for %(invitation)s?") % {"invitation": invitation},
        [gettext("The link that they have leads nowhere any more."), gettext("You can invite them again at any time.")],
        verb=gettext("Revoke invitation"),
        back=reverse("team:list"),
    )

    def act() -> HttpResponse:
        invitations.revoke(invitation.pk, actor=actor_of(request))
        return told(
            request,
            gettext("The invitation for %(invitation)s is revoked.") % {"invitation": invitation},
            to=reverse("team:list"),
        )

    return confirmed(request, question, act)


def _hand_over(request: HttpRequest, invitation: Invitation, token: str) -> HttpResponse:
    """By email; where that is off or fails, as a link on the page, which nobody can see again."""
    link, problem = request.build_absolute_uri(invitations.path_of(token)), ""
    if mail.is_on():
        try:
            invitations.send(invitation, link=link, actor=actor_of(request))
        except mail.NotSent as error:
            problem = error.message
        else:
            return told(
                request,
                gettext("An invitation is on its way to %(invitation)s.") % {"invitation": invitation.email},
                to=reverse("team:list"),
            )
    context = {"invitation": invitation, "link": link, "problem": problem}
    return render(request, "accounts/invited.html", context)
