"""Files that people bring: stored in the upload folder, checked, and imported by a run of their App's own schedule.

The folder (`MEDIA_ROOT`) has to be the same for every web and worker process. A file goes when its run is complete;
one whose run failed, was stopped or left something out stays for a week, so that the run can be retried and the rows
that were left out can be had back. A file that was brought and not started stays as long.
"""

from __future__ import annotations

import gzip
import shutil
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.utils.translation import gettext

from apps_connectors.connections import connect
from apps_connectors.models import App
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from core.work.leases import LEASE_SECONDS, Lease
from plugins import registry
from plugins.base import FetchesFiles, ImportsRecords, RetrievesProperties
from plugins.contracts import BadRow, Page, PluginError
from profiles import from_table, rules
from profiles.rules import NewRule
from schedules import runs, schedules_store
from schedules.checking import has_source, source_of
from schedules.headers import check_mapping, guess_columns, match_columns
from schedules.models import Direction, Run, Schedule
from schedules.schedules_store import ScheduleData

NEW = "+"  # stands for a property that a column is to become
SAMPLED = 100  # rows from which the types of new properties are guessed
KEPT_SECONDS = 7 * 24 * 3600
_SALT = "schedules.uploads"
_SEARCHED_AT_ONCE = 8 * 1024 * 1024


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


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that was brought and waits for a person to say what its columns are. `token` names it from outside."""

    app: App
    path: Path
    name: str
    token: str


@dataclass(frozen=True, slots=True)
class Look:
    """The first rows of a file, and the property that each of its columns is taken for."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    guessed: Mapping[str, str]
    rejected: Sequence[BadRow]
    notes: Sequence[str]


def keep_file(app_name: str, file: IO[bytes], *, name: str) -> KeptFile:
    """Store a file to be looked at first. Raises `InvalidInput` when it cannot be read; nothing is kept then."""
    app = find_app(app_name)
    path = _store(file, name)
    try:
        _read(app, path, limit=1)
    except BaseException:
        remove_file(str(path))
        raise
    kept = {"app": app.pk, "file": path.name, "name": name[:200]}
    return KeptFile(app, path, name[:200], signing.dumps(kept, salt=_SALT, compress=True))


def find_kept(token: str) -> KeptFile:
    """The file of a token; raises `NotFound` when it is too old, started already, or of an App that is gone."""
    try:
        kept = signing.loads(token, salt=_SALT, max_age=KEPT_SECONDS)
    except signing.BadSignature:
        raise NotFound(gettext("This upload is not there any more: bring the file again.")) from None
    path, app = _folder() / Path(kept["file"]).name, App.objects.filter(pk=kept["app"]).first()
    if app is None or not path.is_file():
        raise NotFound(gettext("This upload is not there any more: bring the file again."))
    return KeptFile(app, path, kept["name"], token)


def look_at(kept: KeptFile, *, rows: int) -> Look:
    """What a kept file holds, as far as its first rows tell."""
    page = _read(kept.app, kept.path, limit=rows)
    guessed = guess_columns(page.columns, app_id=kept.app.pk)
    return Look(page.columns, page.rows, guessed, page.rejected, page.notes)


def start_kept(token: str, mapping: Mapping[str, str], *, actor: Actor) -> Run:
    """Import a kept file with the property that a person chose for each column (columns left out are not saved).

    For a column that is to become a property, `NEW`, one is made that any file's column of this label sets. Raises
    `InvalidInput` for a mapping that cannot be used, `Refused` while another file of the App is imported.
    """
    kept = find_kept(token)
    page = _read(kept.app, kept.path, limit=SAMPLED)
    chosen = {column: key for column, key in mapping.items() if key != NEW}
    check_mapping(chosen, page.columns, app_id=kept.app.pk)
    if Run.objects.filter(options__path=str(kept.path)).exists():
        raise Refused(gettext("This file was started already: see its run."))
    with transaction.atomic():
        made = _make_properties([column for column in page.columns if mapping.get(column) == NEW], page, kept, actor)
        schedule = _schedule_of(kept.app, actor=actor)
        options = {"path": str(kept.path), "file": kept.name, "mapping": {**chosen, **made}}
        return runs.start_run(schedule.pk, trigger="upload", options=options, actor=actor)


def _make_properties(columns: Sequence[str], page: Page, kept: KeptFile, actor: Actor) -> dict[str, str]:
    """A property for each of these columns, of the type that its first values have: the keys by column."""
    drafts = {}
    for column in columns:
        place = list(page.columns).index(column)
        values = [str(row[place]) for row in page.rows if row[place] is not None]
        key = from_table.free_key(column)
        drafts[column] = NewRule(key, from_table.guess_type(values), app=kept.app, column_label=column[:200])
    rules.create_rules(list(drafts.values()), actor=actor)
    return {column: draft.key for column, draft in drafts.items()}


def fetch_file(run: Run, lease: Lease) -> str:
    """Fetch the file that an import reads at an address, and let the run read it as if someone had brought it.

    Its path; "" where there is nothing to fetch. A worker that is killed meanwhile leaves a part that goes with the
    old files. Raises what the App raises, and LostLease.
    """
    name = run.schedule.options.get("path", "")
    with connect(run.schedule.app_id) as app:
        if not name or not isinstance(app, FetchesFiles) or not app.is_remote(name):
            return ""
        path = _new_path(name)
        try:
            with path.open("wb") as stored:
                app.fetch(name, _Leased(stored, lease))
            runs.keep_file(lease, run, path=str(path), name=name)
        except BaseException:
            remove_file(str(path))
            raise
    return str(path)


@dataclass(slots=True)
class _Leased:
    """Writes to a file, and keeps the lease while bytes come."""

    file: IO[bytes]
    lease: Lease
    renewed: float = field(default_factory=time.monotonic)

    def write(self, part: bytes, /) -> None:
        self.file.write(part)
        if time.monotonic() - self.renewed > LEASE_SECONDS / 4:
            self.lease.renew()
            self.renewed = time.monotonic()


def apps_that_take_files() -> list[App]:
    """The Apps a file can be brought to, by name."""
    return [app for app in App.objects.order_by("name") if _takes_files(app)]


def find_app(name: str) -> App:
    """The App of this name that takes files. Raises `NotFound` or `InvalidInput`, naming those that do."""
    app = App.objects.filter(name__iexact=name.strip()).first()
    if app is not None and _takes_files(app):
        return app
    able = ", ".join(f"“{other}”" for other in apps_that_take_files())
    hint = gettext("These do: %(able)s.") % {"able": able} if able else gettext("Make an App of the type CSV first.")
    if app is None:
        raise NotFound(
            gettext("There is no App named “%(name)s” that takes files. %(hint)s") % {"name": name, "hint": hint}
        )
    raise InvalidInput(
        gettext("“%(app)s” takes no files. %(hint)s") % {"app": app, "hint": hint},
        {"app": gettext("Choose another App.")},
    )


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


@dataclass(frozen=True, slots=True)
class Searched:
    """How many files held one of the values: removed ones, and those whose import is not over."""

    removed: int
    kept: int


def remove_files_with(values: Sequence[str], *, between: Callable[[], None]) -> Searched:
    """Remove every uploaded file in which one of these values stands, whatever its case; `between` keeps a lease.

    A file that is being imported stays until that is over; it goes with the old ones at the latest.
    """
    unfinished = Run.objects.filter(state__in=runs.UNFINISHED, options__has_key="path")
    busy = set(unfinished.values_list("options__path", flat=True))
    wanted = [form for value in values for form in (value.lower().encode(), value.lower().encode("utf-16-le"))]
    removed = kept = 0
    for file in sorted(_folder().glob("*")) if wanted else ():
        between()
        if not file.is_file() or not _holds(file, wanted, between):
            continue
        if str(file) in busy:
            kept += 1
        else:
            file.unlink(missing_ok=True)
            removed += 1
    return Searched(removed, kept)


def _holds(file: Path, wanted: Sequence[bytes], between: Callable[[], None]) -> bool:
    """Whether one of these stands in a file, packed or not. A file that cannot be read is not ours to judge."""
    longest, tail = max(map(len, wanted)), b""
    try:
        with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as opened:
            while part := opened.read(_SEARCHED_AT_ONCE):
                text = tail + part.lower()
                if any(each in text for each in wanted):
                    return True
                tail = text[-longest:]
                between()
    except (OSError, EOFError, zlib.error):
        return False
    return False


def _takes_files(app: App) -> bool:
    """Such an App reads files and cannot be asked about a person."""
    try:
        kind = registry.get(app.type)
    except registry.UnknownApp:
        return False
    return issubclass(kind, ImportsRecords) and not issubclass(kind, RetrievesProperties)


def _store(file: IO[bytes], name: str) -> Path:
    """Names are ours: what the file was called could be a path, or name another's file. Endings are kept for gzip."""
    path = _new_path(name)
    with path.open("wb") as stored:
        shutil.copyfileobj(file, stored, 1024 * 1024)
    return path


def _new_path(name: str) -> Path:
    _folder().mkdir(parents=True, exist_ok=True)
    remove_old_files()
    return _folder() / f"{uuid4().hex}{'.csv.gz' if name.lower().endswith('.gz') else '.csv'}"


def _check_file(app: App, path: Path) -> None:
    match_columns(_read(app, path, limit=1).columns, app_id=app.pk)


def _read(app: App, path: Path, *, limit: int) -> Page:
    source = source_of({}, upload=str(path))
    try:
        with connect(app.pk) as connected:
            return cast("ImportsRecords", connected).read_page(source, after=None, limit=limit)
    except PluginError as error:
        raise InvalidInput(error.reason, {"file": error.reason}) from None


def _schedule_of(app: App, *, actor: Actor) -> Schedule:
    """The App's import by hand, made with its first upload."""
    for schedule in Schedule.objects.filter(app=app, direction=Direction.IMPORT).order_by("id"):
        if not has_source(schedule.options):
            return schedule
    data = ScheduleData(direction=Direction.IMPORT.value, name=f"{app.name}: uploads", app_id=app.pk)
    return schedules_store.create_schedule(data, actor=actor)


def _folder() -> Path:
    return Path(settings.MEDIA_ROOT)
