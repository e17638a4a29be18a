"""What papers say in words: times where the parcel is, sentences in the reader's language, printable text."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def time_of(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} ({offset_of(local)}, {zone.key})"


def offset_of(local: datetime) -> str:
    """`UTC+08:00`."""
    offset = local.strftime("%z")
    return f"UTC{offset[:3]}:{offset[3:]}"


def say(translations: object, language: str) -> str | None:
    """A sentence of the wording in this language, else in English, else in any."""
    if not isinstance(translations, Mapping) or not translations:
        return None
    for wanted in (language, "en"):
        for tag, text in translations.items():
            if str(tag).split("-")[0] == wanted:
                return str(text)
    return str(next(iter(translations.values())))


def plain(text: str) -> str:
    """What may stand on paper: no control characters but line ends."""
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)
