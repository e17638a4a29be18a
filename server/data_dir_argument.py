"""The folder that a command of `proofcall` is about: as it is named, or as the service would find it."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from server.settings import SETTINGS

DATA_DIR = "PROOFCALL_DATA_DIR"


def setting(environment: Mapping[str, str], name: str) -> str:
    """A setting of the environment, or its default."""
    return environment.get(name) or next(row.default for row in SETTINGS if row.name == name)


def add_data_dir(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """The argument DATA_DIR, which may be left out."""
    default = setting(environment, DATA_DIR)
    parser.add_argument(
        "data_dir",
        type=Path,
        nargs="?",
        default=Path(default),
        metavar="DATA_DIR",
        help=f"the folder; without it {DATA_DIR}, or else {default}",
    )


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace | int:
    """The arguments; or the exit status where argparse has said all there is to say: --help, or what is
    misspelt.
    """
    try:
        return parser.parse_args(argv)
    except SystemExit as request:
        return int(request.code or 0)
