"""What the commands share: one-line errors and argument types."""

import argparse
import logging
import sys
from typing import NoReturn

USER_ERROR = 2
INCOMPLETE = 1
INTERRUPTED = 130
MAX_LINE = 460  # characters of an error


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag in one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        self.exit(USER_ERROR, f"{self.prog}: {message}; see --help\n")


def at_least(low: int) -> "type[int]":
    """Give an argparse type: a whole number of at least `low`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {low}, got {text!r}"
            )
        return value

    return parse  # type: ignore[return-value]


def boolean(text: str) -> bool:
    """Argparse type: true or false."""
    if text.lower() in ("1", "true", "yes"):
        return True
    if text.lower() in ("0", "false", "no"):
        return False
    raise argparse.ArgumentTypeError(f"must be true or false, got {text!r}")


def report_error(program: str, error: Exception) -> int:
    """Print a user's error as one line and give the exit code."""
    line = " ".join(str(error).split())
    if len(line) > MAX_LINE:
        line = f"{line[: MAX_LINE // 2]} ... {line[-MAX_LINE // 2 :]}"
    print(f"{program}: {line}", file=sys.stderr)
    return USER_ERROR


def log_to_stderr() -> None:
    """Show progress lines."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
