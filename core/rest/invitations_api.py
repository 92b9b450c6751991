"""Invitations into the team over HTTP. For admins; a thin door to `core/accounts/invitations.py`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts import invitations, mail
from core.accounts.models import Invitation, Role
from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query


class InvitationAnswer(serializers.Serializer[Invitation]):
    """Someone who was asked into the team, without the link."""

    id = serializers.IntegerField()
    email = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    accepted_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewInvitationAnswer(InvitationAnswer):
    """An invitation, and its link where it was not sent by email."""

    link = serializers.CharField(
        allow_null=True, help_text="To be given to them; it is shown only now. Null when it was sent by email."
    )


class NewInvitation(Body):
    """Whom to ask into the team."""

    email = serializers.CharField(max_length=254)
    role = serializers.ChoiceField(Role.choices)


class Invitations(Endpoint):
    """Who was asked into the team; someone new."""

    required_scope = scopes_of("team")

    @operation("list_invitations", query=PageQuery, answers=InvitationAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Invitations, the latest first, with those that were accepted or revoked."""
        read_query(request, PageQuery)
        return answer_page(request, Invitation.objects.all(), ordering="-id", show=_show)

    @operation("create_invitation", body=NewInvitation, answers=NewInvitationAnswer, status=201)
    def post(self, request: Request) -> Response:
        """Ask someone into the team: by email where it is configured, else by the link in the answer."""
        invitation, token = invitations.invite(**read_body(request, NewInvitation), actor=actor_of(request))
        return Response(_hand_over(request, invitation, token), status=201)


class OneInvitation(Endpoint):
    """One invitation."""

    required_scope = {"DELETE": "team:write"}

    @operation("revoke_invitation", status=204)
    def delete(self, request: Request, invitation_id: int) -> Response:
        """Its link leads nowhere any more; it stays in the list."""
        invitations.revoke(invitation_id, actor=actor_of(request))
        return Response(status=204)


class SendAgain(Endpoint):
    """A new link for one invitation."""

    required_scope = {"POST": "team:write"}

    @operation("send_invitation_again", answers=NewInvitationAnswer)
    def post(self, request: Request, invitation_id: int) -> Response:
        """A new link, good for seven days; the one before leads nowhere any more."""
        invitation, token = invitations.renew(invitation_id, actor=actor_of(request))
        return Response(_hand_over(request, invitation, token))


def _hand_over(request: Request, invitation: Invitation, token: str) -> dict[str, Any]:
    link: str | None = request.build_absolute_uri(invitations.path_of(token))
    if mail.is_on():
        try:
            invitations.send(invitation, link=str(link), actor=actor_of(request))
            link = None
        except mail.NotSent:  # the caller has the link then
            pass
    return {**InvitationAnswer(invitation).data, "link": link}


def _show(found: Any) -> Any:
    return InvitationAnswer(found, many=True).data
