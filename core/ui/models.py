"""What the product has to say to single people. Written only by `core/ui/notices.py`."""

from __future__ import annotations

from django.db import models

from core.accounts.models import User


class Notice(models.Model):
    """Something that someone started has ended, and they have not seen it yet; it goes once they have.

    While it goes on, work that several people may wait for keeps a promise for each: a notice without words.
    """

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=60)  # what ended, such as "run:12"
    look = models.CharField(max_length=4)  # a state of `{% status %}`: ok, bad, wait
    title = models.CharField(max_length=300)
    text = models.CharField(max_length=500, blank=True)
    url = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now=True)
    is_promised = models.BooleanField(default=False)

    class Meta:
        db_table = "notice"
        constraints = [models.UniqueConstraint(fields=["person", "subject"], name="notice_once")]
        indexes = [models.Index(fields=["subject"], name="notice_subject")]

    def __str__(self) -> str:
        return self.title
