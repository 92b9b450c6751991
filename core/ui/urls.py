"""Addresses for whoever is not signed in yet: signing in, joining by an invitation, a new password; and signing out."""

from __future__ import annotations

from django.urls import path

from core.ui import joining, new_password
from core.ui.first_admin import make_first_admin
from core.ui.signin import SignIn, SignOut, enter_code

app_name = "accounts"
urlpatterns = [
    path("sign-in/", SignIn.as_view(), name="login"),
    path("sign-in/code/", enter_code, name="code"),
    path("welcome/", make_first_admin, name="first"),
    path("sign-out/", SignOut.as_view(), name="logout"),
    path("invitation/<str:token>/", joining.join, name="join"),
    path("new-password/", new_password.ask, name="ask_new_password"),
    path("new-password/<str:who>/<str:token>/", new_password.choose, name="new_password"),
]
