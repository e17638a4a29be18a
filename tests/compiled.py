"""Tests run against what PYTHONPATH names, as a service does: the compiled way of a packet (see Makefile).

pytest puts the folder of the sources before it, so this module is imported before any of ours.
"""

import os
import sys
from pathlib import Path

for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep):
    if (Path(folder) / "media").is_dir():
        sys.path.insert(0, folder)
