"""The command line of verification: words for people, JSON for programs, an exit status for scripts."""

import json
from pathlib import Path

import pytest

from server.evidence.verify_command import MAX_SHOWN, run
from server.redecode import PictureRedecoder
from tests.server.evidence.journal_case import journal_case
from tests.server.evidence.sample_case import CASE, VKEY, draft, make_log, sample_drafts, sample_package


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "package.zip"
    path.write_bytes(sample_package())
    return path


def damage(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new))


def test_a_whole_package_exits_0_and_shows_numbered_steps(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(package)]) == 0
    output = capsys.readouterr().out
    assert "THE PACKAGE HOLDS" in output
    for number in range(1, 16):
        assert f"\n{number:>3}  " in output
    assert output.count("passed  ") == 9
    assert output.count("cannot be made  ") == 6
    assert max(map(len, output.splitlines())) <= 100


def test_a_changed_byte_exits_1_and_names_step_and_entry(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(package, b'"width":4', b'"width":5')
    assert run([str(package)]) == 1
    output = capsys.readouterr().out
    assert "THE PACKAGE DOES NOT HOLD. Failed steps: 1, 2, 6. Concerned: entry 2." in output


def test_damage_outside_the_entries_names_the_file(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(package, b"PROOFCALL EVIDENCE PACKAGE", b"PROOFCALL EVIDENCE PACKAGF")
    assert run([str(package)]) == 1
    assert "Failed steps: 1, 2. Concerned: README.txt." in capsys.readouterr().out


def test_json_says_the_same_to_programs(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--json", "--key", VKEY, str(package)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is True
    assert (report["case_id"], report["entries"], report["tree_size"], report["vkey"]) == (CASE, 3, 5, VKEY)
    assert [step["number"] for step in report["steps"]] == list(range(1, 16))
    assert [step["outcome"] for step in report["steps"]] == [
        *["passed"] * 8,
        "cannot_be_made",
        "passed",
        *["cannot_be_made"] * 4,
        "passed",
    ]
    damage(package, b'"width":4', b'"width":5')
    assert run([str(package), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is False
    assert {finding["entry"] for step in report["steps"] for finding in step["findings"]} == {2}


def test_a_file_that_is_no_package_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "letter.txt"
    for content in (b"", b"Dear Sir or Madam", bytes(1000)):
        path.write_bytes(content)
        assert run([str(path)]) == 1
        assert "DOES NOT HOLD" in capsys.readouterr().out


def test_what_cannot_be_read_or_understood_exits_2(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        [],
        ["--nonsense"],
        [str(package.parent)],
        [str(package) + ".missing"],
        [str(package), "--key", "nonsense"],
    ):
        assert run(arguments) == 2
        assert capsys.readouterr().err
    assert run(["--help"]) == 0


def test_a_thousand_failures_do_not_fill_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = make_log([draft("text", CASE, {"text": str(number)}) for number in range(60)])
    path = tmp_path / "package.zip"
    data = bytearray(log.package(blobs={}))
    position = data.index(log.checkpoint.encode()) + len("proofcall.local/log\n60\n")
    data[position] ^= 1
    path.write_bytes(data)
    assert run([str(path)]) == 1
    output = capsys.readouterr().out
    assert f"and {60 - MAX_SHOWN} more" in output
    assert len(output.splitlines()) < 80


def test_a_checkpoint_or_a_package_of_another_history_exits_1(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other = make_log(sample_drafts()), make_log([*sample_drafts()[:4], draft("exported", CASE, {})])
    for name, content, status in (
        ("own", own.checkpoint.encode(), 0),
        ("own.zip", own.package(), 0),
        ("other", other.checkpoint.encode(), 1),
        ("other.zip", other.package(), 1),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert run([str(package), "--against", str(path)]) == status
        assert ("DOES NOT HOLD. Failed steps: 11." in capsys.readouterr().out) == (status == 1)
    assert run([str(package), "--against", str(tmp_path / "missing")]) == 2


def test_a_picture_that_nobody_could_decode_again_stands_in_the_verdict(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(package)]) == 0
    assert "PICTURES NOT SHOWN to come from the stream that was received (step 9): entry 2." in (
        capsys.readouterr().out
    )
    assert run([str(package), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unshown_pictures"] == [2]
    assert [finding["entry"] for finding in report["steps"][8]["unmade"]] == [2]


def test_the_command_decodes_the_pictures_of_a_kept_call_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(journal_case().package())
    with PictureRedecoder() as redecoder:
        assert run([str(path)], redecoder) == 0
    output = capsys.readouterr().out
    assert "Frames and journal  passed" in output
    assert "NOT SHOWN" not in output


def test_what_a_stranger_wrote_commands_no_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(journal_case().changed("frame_sealed", {"codec": "\x1b[2J"}).package())
    with PictureRedecoder() as redecoder:
        run([str(path)], redecoder)
    assert "\x1b" not in capsys.readouterr().out


def test_a_trust_file_pins_the_key_and_what_is_wrong_with_one_is_said(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = tmp_path / "trust.json"
    whole = {"format": "proofcall-trust", "version": 1, "vkeys": [VKEY]}
    trust.write_text(json.dumps(whole))
    assert run(["--trust", str(trust), "--json", str(package)]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][9]["outcome"] == "passed"
    bad_root = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    for bad, says in (
        ("{", "JSON"),
        (json.dumps(whole | {"vkeys": ["x"]}), "verifier key"),
        (json.dumps(whole | {"roots": [bad_root]}), "no certificate"),
        (json.dumps(whole | {"picture_roots": [bad_root]}), "picture_roots"),
    ):
        trust.write_text(bad)
        assert run(["--trust", str(trust), str(package)]) == 2
        assert says in capsys.readouterr().err
    assert run(["--trust", str(tmp_path / "nowhere"), str(package)]) == 2
