"""Errors of `pose_obj_3d`. Each message says what was found, where, what is allowed, what to do."""

MAX_MESSAGE = 480
_START = 330  # characters kept of a longer message; the rest is its end, which says what to do


def one_line(message: str) -> str:
    """Return a message as one printable line of at most `MAX_MESSAGE` characters.

    File names and values in a message may hold anything, line breaks too.
    """
    if len(message) > 4 * MAX_MESSAGE:
        message = message[: 2 * MAX_MESSAGE] + message[-2 * MAX_MESSAGE :]
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in message
    )
    if len(line) <= MAX_MESSAGE:
        return line
    return f"{line[:_START]} ... {line[_START + 5 - MAX_MESSAGE :]}"


class PoseObj3DError(Exception):
    """Base of every error a user can cause; the entry points print it as one line and exit 2."""

    def __init__(self, message: str) -> None:
        """Keep the message as one line of bounded length."""
        super().__init__(one_line(str(message)))


class ArchiveError(PoseObj3DError):
    """A file that is no npz archive of plain arrays, or a damaged one.

    The message is the cause alone; it does not name the file.
    """


class FormalError(PoseObj3DError):
    """A `sim_all_formal.npz` that is missing, broken, or of another version."""


class ConfigError(PoseObj3DError):
    """A config file or flag with an unknown key, a wrong type, or a value out of range."""


class CheckpointError(PoseObj3DError):
    """A checkpoint that is broken, or belongs to another model, config or data set."""


class DataError(PoseObj3DError):
    """Data that is well formed but cannot be learned from, such as fewer than two views."""


class TrainingError(PoseObj3DError):
    """Training cannot go on."""
