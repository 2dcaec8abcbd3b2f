"""Reading JSON of unknown origin: what is not plain JSON is one short error, at once."""

import json
import stat
from pathlib import Path
from typing import Any, NoReturn

from pose_obj_3d.common.settings import as_json

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
MAX_PARTS = 10**6  # lists and objects of a file: an empty one takes 30 times its text in memory


class JsonError(ValueError):
    """A file that is not plain JSON; the text says what is wrong, without the file's name."""


def read_json(path: Path, max_bytes: int) -> Any:
    """Read a JSON file; a byte order mark of UTF-8 is skipped.

    Args:
        path: The file.
        max_bytes: A larger file is refused before it is read.

    Raises:
        JsonError: It is too large, no regular file, not UTF-8 or not JSON: keys that occur twice,
            NaN and nesting without end are none.
        OSError: It cannot be read.
    """
    return parse_json(read_bytes(path, max_bytes))


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a regular file that is not too large; errors as of `read_json`."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise JsonError("it is no regular file")
    if status.st_size > max_bytes:
        raise JsonError(f"it has {status.st_size} bytes; at most {max_bytes} are read")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)  # it may grow meanwhile
    if len(data) > max_bytes:
        raise JsonError(f"at most {max_bytes} bytes are read")
    return data


def parse_json(data: bytes) -> Any:
    """Parse JSON text; errors as of `read_json`."""
    if data.startswith(UTF16_MARKS):
        raise JsonError("it is UTF-16 text; save it as UTF-8")
    if data.count(b"[") + data.count(b"{") > MAX_PARTS:
        raise JsonError(f"it holds more than {MAX_PARTS} lists and objects")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonError(f"it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise JsonError(
            f"not valid JSON at line {error.lineno} column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise JsonError("lists or objects are nested too deep") from None
    except JsonError:
        raise
    except ValueError:  # Python's own limit on whole numbers
        raise JsonError("it holds a whole number of thousands of digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise JsonError(f"key {as_json(key)} is given twice; keep one")
        found[key] = value
    return found


def _constant(name: str) -> NoReturn:
    raise JsonError(f"it holds {name}, which JSON does not have")
