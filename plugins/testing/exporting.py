"""The part of the contract that an App type which exports profiles keeps."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from plugins.base import ExportsProfiles, ReadsBack
from plugins.contracts import Halt, OutcomeKind, ProfileExport, Retry, SyncMode, Target
from plugins.testing.hooks import EXPORT_FIELDS, STRANGE_NAMES, Hooks, in_batches, needs

Payload = dict[str, Any]


def alice(**changes: Any) -> Payload:
    return {
        "email": "alice@example.com",
        "name": "Alice",
        "spent": 12.5,
        "visits": 3,
        "since": "2024-02-29T23:59:59.000000Z",
        "vip": True,
        **changes,
    }


def bob(**changes: Any) -> Payload:
    return {**alice(), "email": "bob@example.com", "name": "Bob", "vip": False, **changes}


def change(old: Payload | None, new: Payload | None, **more: Any) -> ProfileExport:
    return ProfileExport(profile=f"profile of {(new or old or {}).get('email')}", old=old, new=new, **more)


def held_value(type_: str, value: Any) -> Any:
    """A value as the destination holds it, made comparable: files hold text, databases their own types."""
    if value is None or value == "":
        return None
    if type_ in ("float", "integer"):
        return float(value)
    if type_ == "boolean":
        return str(value).lower() in ("true", "t", "1", "yes")
    if type_ == "date":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return str(value)


def comparable(payload: Mapping[str, Any]) -> Payload:
    return {field: held_value(type_, payload.get(field)) for field, type_ in EXPORT_FIELDS.items()}


class ExportingTests(Hooks):
    """Outcomes, idempotence, removals, moves."""

    def _export(self, app: Any, target: Target, *changes: ProfileExport) -> list[OutcomeKind]:
        outcomes = in_batches(app, target, changes)
        assert len(outcomes) == len(changes), "one outcome per profile"
        return [outcome.kind for outcome in outcomes]

    def _accept(self, app: Any, target: Target, *changes: ProfileExport) -> None:
        outcomes = in_batches(app, target, changes)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * len(changes), outcomes

    def _check(self, app: Any, target: Target, *payloads: Payload, gone: Sequence[str] = ()) -> None:
        keys = [*[payload["email"] for payload in payloads], *gone]
        found = self.held(app, target, keys)
        assert {key: comparable(payload) for key, payload in found.items()} == {
            payload["email"]: comparable(payload) for payload in payloads
        }

    @needs(ExportsProfiles)
    def test_what_is_exported_is_held(self) -> None:
        target = self.make_target()
        with self.connect() as app:
            self._accept(app, target, change(None, alice()), change(None, bob()))
            self._check(app, target, alice(), bob(), gone=["charlie@example.com"])
            app.finish(target)
            self._check(app, target, alice(), bob())
        with self.connect() as app:
            self._check(app, target, alice(), bob())

    @needs(ExportsProfiles)
    def test_nothing_to_export_is_no_trouble(self) -> None:
        target = self.make_target()
        with self.connect() as app:
            assert list(app.export(target, [])) == []
            app.finish(target)
            app.finish(target)
            self._check(app, target, gone=["alice@example.com"])

    @needs(ExportsProfiles)
    def test_more_profiles_than_one_batch_holds_are_all_held(self) -> None:
        target = self.make_target()
        with self.connect() as app:
            payloads = [alice(email=f"person{place}@example.com", visits=place) for place in range(app.batch_size + 2)]
            self._accept(app, target, *[change(None, payload) for payload in payloads])
            app.finish(target)
            self._check(app, target, *payloads)

    @needs(ExportsProfiles)
    def test_the_same_export_again_changes_nothing(self) -> None:
        if not self.app_type.idempotent:  # type: ignore[attr-defined]  # it exports
            assert issubclass(self.app_type, ReadsBack), "who may not send twice has to read back"
            return
        target = self.make_target()
        changes = [change(None, alice()), change(None, bob())]
        with self.connect() as app:
            self._accept(app, target, *changes)
            self._accept(app, target, *changes)
            self._accept(app, target, change(alice(), None))
            self._accept(app, target, change(alice(), None))
            app.finish(target)
            self._check(app, target, bob(), gone=["alice@example.com"])

    @needs(ExportsProfiles)
    def test_a_changed_value_replaces_the_old_one_and_null_clears_it(self) -> None:
        target = self.make_target()
        newer = alice(name="Alice B.", spent=None, visits=0, vip=None, since=None)
        with self.connect() as app:
            self._accept(app, target, change(None, alice()), change(None, bob()))
            app.finish(target)
            self._accept(app, target, change(alice(), newer))
            self._check(app, target, newer, bob())
            app.finish(target)
            self._check(app, target, newer, bob())

    @needs(ExportsProfiles)
    def test_a_removal_follows_the_sync_mode(self) -> None:
        for mode in sorted(self.app_type.sync_modes):  # type: ignore[attr-defined]  # it exports
            target = self.make_target(mode=mode)
            with self.connect() as app:
                self._prepare(app, target)
                self._accept(app, target, change(alice(), None))
                app.finish(target)
                if mode is SyncMode.SYNC:
                    self._check(app, target, bob(), gone=["alice@example.com"])
                else:
                    self._check(app, target, alice(), bob())

    @needs(ExportsProfiles)
    def test_enriching_makes_nothing_new(self) -> None:
        if SyncMode.ENRICH not in self.app_type.sync_modes:  # type: ignore[attr-defined]  # it exports
            return
        target = self.make_target(mode=SyncMode.ENRICH)
        charlie = alice(email="charlie@example.com")
        with self.connect() as app:
            self._prepare(app, target)
            self._accept(app, target, change(alice(), alice(name="Alicia")))
            self._export(app, target, change(None, charlie))
            app.finish(target)
            self._check(app, target, alice(name="Alicia"), gone=["charlie@example.com"])

    def _prepare(self, app: Any, target: Target) -> None:
        """Let the destination hold Alice and Bob whatever the mode of `target`."""
        everything = Target(target.options, target.key_field, target.fields, SyncMode.SYNC, target.groups)
        self._accept(app, everything, change(None, alice()), change(None, bob()))
        app.finish(everything)

    @needs(ExportsProfiles)
    def test_a_changed_key_moves_what_is_held(self) -> None:
        target = self.make_target()
        moved = alice(email="alice@new.example.com")
        with self.connect() as app:
            self._accept(app, target, change(None, alice()), change(None, bob()))
            app.finish(target)
            self._accept(app, target, change(alice(), moved))
            self._check(app, target, moved, bob(), gone=["alice@example.com"])
            app.finish(target)
            self._check(app, target, moved, bob(), gone=["alice@example.com"])

    @needs(ExportsProfiles)
    def test_a_key_that_another_profile_took_over_is_left_alone(self) -> None:
        target = self.make_target()
        moved = alice(email="alice@new.example.com")
        with self.connect() as app:
            self._accept(app, target, change(None, alice()))
            taken = bob(email="alice@example.com")
            self._accept(app, target, change(None, taken), change(alice(), moved, release_old_key=False))
            self._accept(app, target, change(alice(), None, release_old_key=False))
            app.finish(target)
            self._check(app, target, taken, moved)

    @needs(ExportsProfiles)
    def test_strange_and_huge_values_are_held_as_they_are(self) -> None:
        target = self.make_target()
        names = [name[: self.longest_text] for name in STRANGE_NAMES if name and not name.startswith(("=", " "))]
        payloads = [alice(email=f"person{place}@example.com", name=name) for place, name in enumerate(names)]
        with self.connect() as app:
            self._accept(app, target, *[change(None, payload) for payload in payloads])
            app.finish(target)
            self._check(app, target, *payloads)

    @needs(ExportsProfiles)
    def test_nothing_is_held_of_keys_never_sent(self) -> None:
        target = self.make_target()
        with self.connect() as app:
            self._accept(app, target, change(None, alice()))
            assert dict(self.held(app, target, [])) == {}
            assert dict(self.held(app, target, ["nobody@example.com", "' or 1=1 --"])) == {}

    @needs(ExportsProfiles, hook="held_groups")
    def test_groups_are_held_and_follow(self) -> None:
        target = self.make_target(groups=("gold", "silver"))
        with self.connect() as app:
            self._accept(app, target, change(None, alice(), new_groups=("gold", "silver")))
            app.finish(target)
            assert self.held_groups(app, target, "alice@example.com") == {"gold", "silver"}
            self._accept(app, target, change(alice(), alice(), old_groups=("gold", "silver"), new_groups=("silver",)))
            app.finish(target)
            assert self.held_groups(app, target, "alice@example.com") == {"silver"}
            self._accept(app, target, change(alice(), None, old_groups=("silver",)))
            app.finish(target)
            assert self.held_groups(app, target, "alice@example.com") == set()

    @needs(ExportsProfiles, hook="refused_payload")
    def test_one_refused_profile_does_not_keep_the_others_back(self) -> None:
        target = self.make_target()
        bad = dict(self.refused_payload())
        with self.connect() as app:
            outcomes = in_batches(app, target, [change(None, alice()), change(None, bad), change(None, bob())])
            app.finish(target)
            self._check(app, target, alice(), bob())
        assert [outcome.kind for outcome in outcomes] == [
            OutcomeKind.ACCEPTED,
            OutcomeKind.REJECT,
            OutcomeKind.ACCEPTED,
        ]
        assert len(outcomes[1].reason) > 10

    @needs(ExportsProfiles, hook="limit_rate")
    def test_too_many_requests_are_to_be_tried_again(self) -> None:
        target = self.make_target()
        with self.connect() as app:
            self.limit_rate(app)
            try:
                outcomes = [outcome.kind for outcome in app.export(target, [change(None, alice())])]
            except Retry:
                outcomes = [OutcomeKind.RETRY]
            assert outcomes == [OutcomeKind.RETRY]
            self._accept(app, target, change(None, alice()))

    @needs(ExportsProfiles, hook="cut_connection")
    def test_an_export_over_a_cut_connection_is_to_be_tried_again(self) -> None:
        target = self.make_target()
        app = self.connect()
        try:
            self._accept(app, target, change(None, bob()))
            self.cut_connection(app)
            try:
                outcomes = self._export(app, target, change(None, alice()))
            except Retry:
                outcomes = [OutcomeKind.RETRY]
            assert outcomes[0] in (OutcomeKind.RETRY, OutcomeKind.ACCEPTED)
        finally:
            app.close()
        with self.connect() as app:
            self._accept(app, target, change(None, alice()))
            self._check(app, target, alice(), bob())

    @needs(ExportsProfiles)
    def test_a_broken_connection_exports_nothing_and_says_why(self) -> None:
        target = self.make_target()
        for wrong, options in self.broken_options().items():
            app: Any = self.app_type(options)
            try:
                outcomes = app.export(target, [change(None, alice())])
            except (Retry, Halt):
                continue
            finally:
                app.close()
            assert outcomes[0].kind in (OutcomeKind.RETRY, OutcomeKind.HALT), wrong
