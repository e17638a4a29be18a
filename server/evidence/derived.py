"""Files of a package that were made from its entries: they prove nothing, and must not say anything else.
Pure.

`custody.json` is made again and compared. A file of `playback/` cannot be made again here; what it claims to
come from (`playback/index.json`) must be segments of this case, and each such file must claim it. Neither can
the reports; and the programs that lie in a package are whoever's who packed it. All of them are named.
"""

from collections.abc import Collection, Iterable, Mapping

from server.evidence.canonical import JsonObject, JsonValue, encode_canonical, parse_canonical_object
from server.evidence.entry import Envelope
from server.evidence.errors import MalformedJson
from server.evidence.package import (
    CUSTODY_FILE,
    PLAYBACK_FORMAT,
    PLAYBACK_INDEX,
    encode_custody,
    is_playback_file,
)
from server.evidence.report import Finding

REPORTS = "report.en.pdf", "report.zh.pdf"
PROGRAMS = "check.html", "verify.pyz"
MAX_INDEX_BYTES = 16 << 20  # a hundred thousand segments


def check_custody(data: bytes, entries: Iterable[tuple[Envelope, JsonObject | None]]) -> list[Finding]:
    """Whether `custody.json` says what the entries say. A body of None was erased."""
    if data == encode_custody(entries):
        return []
    message = "custody.json does not say what the entries say of who saw and exported what"
    return [Finding(message=message, member=CUSTODY_FILE)]


def check_playback(
    members: Collection[str], index: bytes | None, segments: Mapping[int, Collection[str]]
) -> list[Finding]:
    """Whether each playback file names its segments. `segments`: by entry, the files that it names."""
    files = {name for name in members if is_playback_file(name)}
    if index is None:
        missing = f"{PLAYBACK_INDEX} is missing: from what the files of playback were made is not said"
        return [Finding(message=missing, member=PLAYBACK_INDEX)] if files else []
    try:
        listed = _parse_index(index)
    except MalformedJson as error:
        return [Finding(message=f"{PLAYBACK_INDEX}: {error}", member=PLAYBACK_INDEX)]
    findings = []
    for name in sorted(files - listed.keys()):
        findings.append(Finding(message=f"{name} is not listed in {PLAYBACK_INDEX}", member=name))
    for name, sources in listed.items():
        if name not in files:
            findings.append(
                Finding(message=f"{name} is listed in {PLAYBACK_INDEX}, and missing", member=name)
            )
        for entry, sha256 in sources:
            if sha256 not in segments.get(entry, ()):
                message = f"{name} is said to come from a segment that entry {entry} does not name"
                findings.append(Finding(message=message, member=name))
                break
    return findings


def uncompared(members: Collection[str]) -> list[Finding]:
    """What people will read, look at and run, and nothing here can compare with the entries."""
    told = [name for name in REPORTS if name in members]
    films = sum(map(is_playback_file, members))
    if films:
        told.append("1 file of playback/" if films == 1 else f"{films} files of playback/")
    programs = [name for name in PROGRAMS if name in members]
    findings = []
    if told:
        findings.append(
            Finding(
                message=f"made from the entries, and not compared with them: {', '.join(told)}. Believe the "
                "entries"
            )
        )
    if programs:
        findings.append(
            Finding(
                message=f"programs, and not compared with any: {', '.join(programs)}. Take them from a "
                "source that you trust"
            )
        )
    return findings


def _parse_index(data: bytes) -> dict[str, list[tuple[int, str]]]:
    """Raises MalformedJson."""
    document = parse_canonical_object(data)
    listed: dict[str, list[tuple[int, str]]] = {}
    files = document.get("files")
    for file in files if isinstance(files, list) else [None]:
        name = file.get("file") if isinstance(file, dict) else None
        segments = file.get("segments") if isinstance(file, dict) else None
        if not isinstance(name, str) or not isinstance(segments, list) or not segments:
            raise MalformedJson("it does not list files with their segments")
        listed[name] = [_parse_segment(segment) for segment in segments]
    told: list[JsonValue] = [
        {"file": name, "segments": [{"entry": entry, "sha256": sha256} for entry, sha256 in listed[name]]}
        for name in sorted(listed)
    ]
    if encode_canonical({"files": told, "format": PLAYBACK_FORMAT, "version": 1}) != data:
        raise MalformedJson("it is not an index of playback files of version 1")
    return listed


def _parse_segment(segment: JsonValue) -> tuple[int, str]:
    entry = segment.get("entry") if isinstance(segment, dict) else None
    sha256 = segment.get("sha256") if isinstance(segment, dict) else None
    if type(entry) is not int or not isinstance(sha256, str):
        raise MalformedJson("a segment of a playback file has entry and sha256")
    return entry, sha256
