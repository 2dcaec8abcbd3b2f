"""What the command lines print."""

import os
import sys


def print_result(text: str) -> None:
    """Write a text and a line end to stdout; stop quietly if its reader has seen enough."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter would try to write again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
