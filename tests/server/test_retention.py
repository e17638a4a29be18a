"""What is over is told first and erased then; what happened later, or is held, is kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server import app, retain_command
from server.main import run
from server.retention import REMEMBERED_RUNS, Retention
from server.retention_rules import Rules, due_of, parse_rules, trusted_now
from server.settings import read_settings
from server.store.aging import AgedCase
from server.store.audit import audit
from signaling.commands import Consent, EndCase, FrameCaptured, Join
from signaling.entries import MEDIA
from signaling.values import INTEGRATOR, Actor, SessionId
from tests.conftest import Caller, calling
from tests.server.receipt import actor_of
from tests.signaling.builders import frame_of

NOW_AT = datetime(2026, 11, 22, tzinfo=UTC)
RULES = "recordings=30d, frames=90d, all=3y"
API = Actor(role="integrator", actor_id=INTEGRATOR, session_id=SessionId("s_" + "i" * 20))


def aged(days: int, *present: str) -> AgedCase:
    return AgedCase(
        case_id="c_1",
        first_leaf=0,
        opened_at=NOW_AT - timedelta(days=days),
        last_at=NOW_AT - timedelta(days=days),
        is_held=False,
        present=frozenset(present),
    )


@pytest.mark.parametrize(
    ("days", "present", "due"),
    [
        (29, ("segment_sealed", "frame_sealed"), None),
        (30, ("segment_sealed", "frame_sealed"), "recordings"),
        (30, ("segment_lost",), "recordings"),
        (30, ("frame_sealed",), None),
        (90, ("segment_sealed", "frame_sealed", "attachment_stored"), "recordings, frames"),
        (90, ("attachment_stored",), None),
        (1094, (), None),
        (1095, (), "all"),
        (1095, ("segment_sealed",), "all"),
    ],
)
def test_what_is_over_goes_by_age_and_kind(days: int, present: tuple[str, ...], due: str | None) -> None:
    found = due_of(parse_rules(RULES), aged(days, *present), NOW_AT)
    assert (found.what if found else None) == due
    if found is not None and found.kinds is not None:
        assert set(found.kinds) == set().union(*(MEDIA[name] for name in found.media))


def test_without_rules_nothing_is_ever_over() -> None:
    assert parse_rules(" ") == {} and due_of({}, aged(100_000, "frame_sealed"), NOW_AT) is None


@pytest.mark.parametrize(
    "text", ["frames", "frames=0d", "frames=1w", "texts=1y", "all=1y, all=2y", "frames=2y, all=1y", "all=-1d"]
)
def test_rules_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rules(text)


class Clock:
    """The service's, to be set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(app, "utc_now", clock)
    return clock


async def case_with_a_frame(caller: Caller, *, ended: bool = True) -> str:
    """A picture in it that the service has taken."""
    case_id = await caller.open_case()
    links = {"courier": await caller.link(case_id, "courier")}
    case, courier = await caller.service.cases.get(case_id), actor_of(links, "courier")
    data = case_id.encode() * 100
    sealed = frame_of(courier)
    blob = replace(sealed.blob, sha256=await caller.service.blobs.put(case_id, data), size_bytes=len(data))
    await case.handle(FrameCaptured(frame=replace(sealed, blob=blob)), courier)
    if ended:
        await case.handle(EndCase(), API)
    return case_id


def retention(caller: Caller, rules: Rules, *, erases: bool) -> Retention:
    service = caller.service
    return Retention(
        rules=rules,
        erases=erases,
        log=service.log,
        cases=service.cases,
        erasing=service.erasing,
        new_id=service.new_id,
        utc_now=service.utc_now,
    )


async def kinds_and_bodies(caller: Caller, case_id: str) -> list[tuple[str, bool]]:
    entries = await caller.service.log.entries(case_id)
    return [(entry.envelope.kind, not entry.is_erased) for entry in entries]


async def test_a_dry_run_tells_and_a_run_erases_what_is_over(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with calling(tmp_path, PROOFCALL_RETENTION=RULES) as caller:
        first = await case_with_a_frame(caller)
        held = await case_with_a_frame(caller)
        await caller.call("POST", f"/api/cases/{held}/holds", json={"reason": "Claim 4711"})
        clock.ahead = timedelta(days=100)
        late = await case_with_a_frame(caller)
        data, before = str(tmp_path / "data"), caller.service.log.size
        assert run(["retain", data, "--rules", "all=1000d"]) == 0
        assert capsys.readouterr().out.startswith("0 cases")

        await caller.service.retention.run()
        assert caller.service.retention.found == {"erased": 0, "due": 1, "held": 1, "failed": 0}
        _, metrics = await caller.call("GET", "/metrics", bearer=None)
        assert b'proofcall_retention_cases{fate="due"} 1.0' in metrics
        assert caller.service.log.size == before, "nothing was changed"

        erasing = retention(caller, parse_rules(RULES), erases=True)
        await erasing.run()
        assert erasing.found == {"erased": 1, "due": 0, "held": 1, "failed": 0}
        assert ("frame_sealed", False) in await kinds_and_bodies(caller, first)
        assert ("text", False) not in await kinds_and_bodies(caller, first)
        (said,) = [
            entry for entry in await caller.service.log.entries(first) if entry.envelope.kind == "erased"
        ]
        assert said.envelope.actor_id == "system" and said.body["by"] == "retention"
        assert said.body["reason"] == "kept as long as was set: frames 90 days"
        for kept in (held, late):
            assert ("frame_sealed", True) in await kinds_and_bodies(caller, kept)
        await erasing.run()
        assert erasing.found["erased"] == 0, "once is enough"

        clock.ahead = timedelta(days=1095)
        await caller.open_case()
        erasing = retention(caller, parse_rules(RULES), erases=True)
        await erasing.run()
        assert erasing.found == {"erased": 2, "due": 0, "held": 1, "failed": 0}
        assert ("frame_sealed", False) in await kinds_and_bodies(caller, late)
        assert (await caller.service.cases.get(first)).state.phase == "erased"
        list(audit(tmp_path / "data"))


async def test_an_open_case_that_nobody_touches_any_more_is_ended_and_erased(
    tmp_path: Path, clock: Clock
) -> None:
    async with calling(tmp_path) as caller:
        case_id = await case_with_a_frame(caller, ended=False)
        clock.ahead = timedelta(days=400)
        await caller.call("GET", f"/api/cases/{case_id}/entries")  # who looks keeps nothing alive
        await retention(caller, parse_rules("all=1y"), erases=True).run()
        kinds = await kinds_and_bodies(caller, case_id)
        assert [kind for kind, _ in kinds[-3:]] == ["read", "case_ended", "erased"]
        assert [kind for kind, has_body in kinds if has_body] == ["erased"]


async def test_a_case_in_a_call_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    async with calling(tmp_path) as caller:
        case_id = await case_with_a_frame(caller, ended=False)
        link = await caller.link(case_id, "courier")
        case, courier = await caller.service.cases.get(case_id), actor_of({"courier": link}, "courier")
        for command in (Consent(statement="yes", language="en"), Join()):
            await case.handle(command, courier)
        clock.ahead = timedelta(days=400)
        await caller.open_case()
        for rules in ("frames=90d", "all=1y"):
            erasing = retention(caller, parse_rules(rules), erases=True)
            await erasing.run()
            assert erasing.found["failed"] == 1
        assert case.state.phase == "open" and case.state.in_call


@pytest.mark.parametrize(("days", "trusted"), [(0, 0), (6, 6), (7, 7), (8, 7), (40_000, 7), (-3, -3)])
def test_a_clock_is_trusted_for_some_days_beyond_the_log(days: int, trusted: int) -> None:
    ahead = timedelta(days=days)
    assert trusted_now(NOW_AT + ahead, NOW_AT) == NOW_AT + timedelta(days=trusted)
    assert trusted_now(NOW_AT + ahead, None) == NOW_AT + ahead


async def test_a_wrong_clock_erases_nothing_and_what_it_wrote_is_no_witness_of_it(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with calling(tmp_path) as caller:
        case_id = await case_with_a_frame(caller)
        clock.ahead = timedelta(days=4_000)
        erasing = retention(caller, parse_rules("frames=90d, all=1y"), erases=True)
        await erasing.run()
        await caller.open_case()
        for _ in range(REMEMBERED_RUNS - 1):
            await erasing.run()
            assert erasing.found["erased"] == 0
        assert ("frame_sealed", True) in await kinds_and_bodies(caller, case_id)
        assert "a clock is rather wrong" in caplog.text
        await erasing.run()
        assert erasing.found["erased"] == 1, "nobody has mended it for a day"


async def test_the_command_lists_what_would_go(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock.ahead = -timedelta(days=100)
    async with calling(tmp_path) as caller:
        first, held = await case_with_a_frame(caller), await case_with_a_frame(caller)
        await caller.call("POST", f"/api/cases/{held}/holds", json={"reason": "Claim 4711"})
        environment = {"PROOFCALL_DATA_DIR": str(tmp_path / "data"), "PROOFCALL_RETENTION": RULES}
        assert retain_command.run(["--dry-run"], environment) == 0
        assert capsys.readouterr().out.startswith("0 cases"), "the clock is far ahead of the log"
        clock.ahead = timedelta()
        await caller.open_case()
        assert retain_command.run(["--dry-run"], environment) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split("   ")[0] for line in lines[:-1]] == [first, held]
        assert lines[0].endswith("frames") and lines[1].endswith("(held)")
        assert lines[-1] == "1 cases would lose something, 1 are held. Nothing was changed."


@pytest.mark.parametrize(
    "arguments", [["nowhere", "--rules", "all=1y"], ["."], [".", "--rules", "all=1w"], ["-x"]]
)
def test_the_command_says_what_it_cannot_read(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert retain_command.run(arguments, {}) == 2
    assert "proofcall retain" in capsys.readouterr().err


def test_the_settings_of_retention_are_typed() -> None:
    key = {"PROOFCALL_API_KEY": "0123456789abcdef"}
    assert read_settings(key).retention == {} and not read_settings(key).retention_erases
    settings = read_settings(key | {"PROOFCALL_RETENTION": "frames=90d", "PROOFCALL_RETENTION_MODE": "erase"})
    assert settings.retention == {"frames": timedelta(days=90)} and settings.retention_erases
