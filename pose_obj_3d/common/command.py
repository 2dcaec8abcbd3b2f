"""How every command of stage 2 runs: its log, and a user's error as one line and exit code 2."""

import logging
import sys
from collections.abc import Callable

from pose_obj_3d.common.errors import PoseObj3DError, one_line

USER_ERROR = 2
NOISY = ("matplotlib", "fontTools", "PIL", "tensorboard")


def run_command(
    work: Callable[[], object],
    debug: bool = False,
    verbose: bool = False,
    is_first: bool = True,
) -> int:
    """Run what a command does; 0 on success, 2 on a user's error (one line on stderr).

    Args:
        work: What it does.
        debug: Whether an error is raised, with its traceback.
        verbose: Whether the log is detailed.
        is_first: False for all but one of several processes that do the same: of them, only what
            the machine refuses is told, since the first one tells the rest.
    """
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", force=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        work()
    except (PoseObj3DError, OSError) as error:
        if debug:
            raise
        if is_first or isinstance(error, OSError):
            print(f"error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        return USER_ERROR
    return 0
