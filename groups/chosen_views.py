"""What is done to the groups that were chosen in the list, each as its own page does it."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.ui.bulk import act_on_each, chosen_numbers
from core.ui.forms import Question, actor_of, confirmed
from core.ui.wording import counted
from groups import groups_store, queries
from groups.models import Group


@require_POST
@role_required(Role.EDITOR)
def act_on_chosen(request: HttpRequest) -> HttpResponse:
    """Calculate the groups chosen in the list again, or go on to the question whether to delete them."""
    chosen = chosen_numbers(request)
    if request.POST.get("do") == "delete" and chosen:
        return redirect(f"{reverse('groups:delete_chosen')}?{urlencode([('chosen', each) for each in chosen])}")
    actor = actor_of(request)
    act_on_each(request, chosen, lambda pk: groups_store.recalculate_group(pk, actor=actor), done=_say_recalculated)
    return redirect("groups:list")


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def delete_chosen(request: HttpRequest) -> HttpResponse:
    """Delete several groups, after saying who leaves each of them; one that is in use stays, and it is told by what."""
    groups = list(Group.objects.filter(pk__in=chosen_numbers(request)).order_by("name"))
    if not groups:
        messages.error(request, gettext("These groups are gone, or none was chosen."))
        return redirect("groups:list")
    sizes = queries.count_members([group.pk for group in groups])
    consequences = [_who_leaves(group.name, sizes.get(group.pk, 0)) for group in groups]
    consequences.append(
        gettext("The log of who joined and left is kept as long as other logs. What is in use is not deleted.")
    )
    count = len(groups)
    question = Question(
        counted(ngettext("Delete %(count)s group?", "Delete %(count)s groups?", count), count),
        consequences,
        verb=counted(ngettext("Delete %(count)s group", "Delete %(count)s groups", count), count),
        back=reverse("groups:list"),
    )
    actor = actor_of(request)

    def delete() -> HttpResponse:
        ids = [group.pk for group in groups]
        act_on_each(request, ids, lambda pk: groups_store.delete_group(pk, actor=actor), done=_say_deleted)
        return redirect("groups:list")

    return confirmed(request, question, delete)


def _who_leaves(name: str, size: int) -> str:
    """ "3 people leave Lapsed customers."."""
    text = ngettext("%(count)s person leaves %(group)s.", "%(count)s people leave %(group)s.", size)
    return counted(text, size, group=name)


def _say_recalculated(count: int) -> str:
    return ngettext("%(count)s group is calculated again.", "%(count)s groups are calculated again.", count)


def _say_deleted(count: int) -> str:
    return ngettext("%(count)s group was deleted.", "%(count)s groups were deleted.", count)
