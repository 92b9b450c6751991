"""Files that people bring: stored in the upload folder, checked, and imported by a run of their App's own schedule.

The folder (`MEDIA_ROOT`) has to be the same for every web and worker process. A file goes when its run is complete;
one whose run failed or was stopped stays for a week, so that the run can be retried.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import IO, cast
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from apps_connectors.connections import connect
from apps_connectors.models import App
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound
from plugins import registry
from plugins.base import ImportsRecords, RetrievesProperties
from plugins.contracts import PluginError
from schedules import runs, schedules_store
from schedules.checking import has_source, source_of
from schedules.headers import match_columns
from schedules.models import Direction, Run, Schedule
from schedules.schedules_store import ScheduleData

KEPT_SECONDS = 7 * 24 * 3600


def start_upload(app_name: str, file: IO[bytes], *, name: str, actor: Actor) -> Run:
    """Store a file and start the run that imports it. `name` is what the file was called.

    Raises `InvalidInput` when the file cannot be read or its columns fit no property, and `Refused` while another file
    of the same App is being imported; nothing is kept then.
    """
    app = find_app(app_name)
    path = _store(file, name)
    try:
        _check_file(app, path)
        with transaction.atomic():
            schedule = _schedule_of(app, actor=actor)
            options = {"path": str(path), "file": name[:200]}
            return runs.start_run(schedule.pk, trigger="upload", options=options, actor=actor)
    except BaseException:
        remove_file(str(path))
        raise


def find_app(name: str) -> App:
    """The App of this name that takes files. Raises `NotFound` or `InvalidInput`, naming those that do."""
    app = App.objects.filter(name__iexact=name.strip()).first()
    if app is not None and _takes_files(app):
        return app
    able = ", ".join(f"“{other}”" for other in App.objects.order_by("name") if _takes_files(other))
    hint = f"These do: {able}." if able else "Make an App of the type CSV first."
    if app is None:
        raise NotFound(f"There is no App named “{name}” that takes files. {hint}")
    raise InvalidInput(f"“{app}” takes no files. {hint}", {"app": "Choose another App."})


def remove_file(path: str) -> None:
    """Remove an uploaded file; files elsewhere are left alone."""
    file = Path(path)
    if file.is_relative_to(_folder()):
        file.unlink(missing_ok=True)


def remove_old_files() -> int:
    """Remove what nobody came back for; how many files."""
    before = time.time() - KEPT_SECONDS
    old = [file for file in _folder().glob("*") if file.is_file() and file.stat().st_mtime < before]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def _takes_files(app: App) -> bool:
    """Such an App reads files and cannot be asked about a person."""
    try:
        kind = registry.get(app.type)
    except registry.UnknownApp:
        return False
    return issubclass(kind, ImportsRecords) and not issubclass(kind, RetrievesProperties)


def _store(file: IO[bytes], name: str) -> Path:
    """Names are ours: what the file was called could be a path, or name another's file. Endings are kept for gzip."""
    _folder().mkdir(parents=True, exist_ok=True)
    remove_old_files()
    ending = ".csv.gz" if name.lower().endswith(".gz") else ".csv"
    path = _folder() / f"{uuid4().hex}{ending}"
    with path.open("wb") as stored:
        shutil.copyfileobj(file, stored, 1024 * 1024)
    return path


def _check_file(app: App, path: Path) -> None:
    source = source_of({}, upload=str(path))
    try:
        with connect(app.pk) as connected:
            page = cast("ImportsRecords", connected).read_page(source, after=None, limit=1)
    except PluginError as error:
        raise InvalidInput(error.reason, {"file": error.reason}) from None
    match_columns(page.columns, app_id=app.pk)


def _schedule_of(app: App, *, actor: Actor) -> Schedule:
    """The App's import by hand, made with its first upload."""
    for schedule in Schedule.objects.filter(app=app, direction=Direction.IMPORT).order_by("id"):
        if not has_source(schedule.options):
            return schedule
    data = ScheduleData(direction=Direction.IMPORT.value, name=f"{app.name}: uploads", app_id=app.pk)
    return schedules_store.create_schedule(data, actor=actor)


def _folder() -> Path:
    return Path(settings.MEDIA_ROOT)
