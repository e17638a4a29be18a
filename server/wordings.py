"""The files of the wording, read once at start: the package's own, or those of the operator's folder."""

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from signaling.errors import MalformedWording
from signaling.wording import Wording, parse_wording

RULES = "rules.json"


def read_wording(folder: Path | None = None) -> Wording:
    """`rules.json` and a file a language, such as `en.json`. Raises MalformedWording: it names the file."""
    source: Traversable = files("signaling") / "wording_files" if folder is None else folder
    texts = {}
    rules: object = None
    for file in sorted(source.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".json"):
            continue
        try:
            parsed = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise MalformedWording(f"{file.name} is no JSON in UTF-8: {error}") from None
        if file.name == RULES:
            rules = parsed
        else:
            texts[file.name.removesuffix(".json")] = parsed
    if rules is None:
        raise MalformedWording(f"{folder} has no {RULES}")
    return parse_wording(rules, texts)
