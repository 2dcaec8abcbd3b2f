"""Archives that ship with the project: the list of them, and a copy before one is replaced."""

import hashlib
import logging
from pathlib import Path

from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.formal import shipped_copy

logger = logging.getLogger(__name__)

CHECKSUMS = "SHA256SUMS"
"""File beside the archives that ship; lists their digests."""


def keep_shipped(output: Path) -> None:
    """Keep a copy of the archive at `output` if it is one that ships with the project.

    Training finds the tasks of the copy as well.
    """
    listed = output.with_name(CHECKSUMS)
    if not (output.is_file() and listed.is_file()):
        return
    data = output.read_bytes()  # once: another conversion may replace it
    digests = listed.read_text(encoding="utf-8", errors="replace").split()
    if hashlib.sha256(data).hexdigest() in digests:
        copy = shipped_copy(output)
        write_whole(copy, data)
        logger.info("the data set that came with the project is kept as %s", copy)
