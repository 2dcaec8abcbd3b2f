"""Read the plain values of OpenCV's yaml, xml and json files, without OpenCV's parser.

The files may come from anywhere: sizes are limited, no tag makes an object, no entity is expanded.
A matrix becomes an array of its shape.
"""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.safe_reading.plain_yaml import values_of_yaml
from pose_obj_3d.importing.calibrations.values import MAX_NUMBERS, numbers, read_text

MAX_VALUES = 100_000
MAX_DEPTH = 20
SUFFIXES = (".yml", ".yaml", ".xml", ".json")
_HEADER = re.compile(r"\A\s*%YAML[: ][^\n]*\n")  # OpenCV's is no valid YAML
_TAG = re.compile(r"!!opencv-(?:nd-)?matrix\b")
_NUMBER = re.compile(r"[-+]?(?:\d|\.\d|\.?inf\b|\.?nan\b)", re.IGNORECASE)


def read_values(path: Path) -> dict[str, Any]:
    """Read a file.

    Raises:
        DataError: It is damaged, too large, or has more than plain values.
    """
    text = read_text(path)
    if path.suffix == ".xml":
        found = _xml(path, text)
    elif path.suffix == ".json":
        found = _json(path, text)
    else:
        found = _yaml(path, text)
    if not isinstance(found, dict):
        raise DataError(f"{path}: has no named values; a calibration has camera_matrix and others")
    return {str(key): _with_arrays(f"{path}: {key}", value, 0) for key, value in found.items()}


def _yaml(path: Path, text: str) -> Any:
    try:
        return values_of_yaml(path, _TAG.sub("", _HEADER.sub("", text)), "calibration", MAX_VALUES)
    except ConfigError as error:
        raise DataError(str(error)) from error


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON: {error or type(error).__name__}") from error


def _xml(path: Path, text: str) -> Any:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{path}: has a DOCTYPE or an ENTITY, which no calibration needs")
    try:
        root = Xml.fromstring(text)  # noqa: S314 - no entities, and of limited size
    except (Xml.ParseError, ValueError) as error:
        raise DataError(f"{path}: not valid XML: {error}") from error
    return _of_element(path, root, 0)


def _of_element(path: Path, element: Xml.Element, depth: int) -> Any:
    """Return a mapping, a list of `<_>` elements, numbers, or a text."""
    if depth > MAX_DEPTH:
        raise DataError(f"{path}: nests more than {MAX_DEPTH} levels")
    children = list(element)
    if children:
        values = [_of_element(path, child, depth + 1) for child in children]
        if all(child.tag == "_" for child in children):
            return values
        return {child.tag: value for child, value in zip(children, values, strict=True)}
    words = (element.text or "").split()
    if words and all(_NUMBER.match(word) for word in words):
        return words[0] if len(words) == 1 else words
    return " ".join(words).strip('"')


def _with_arrays(where: str, value: Any, depth: int) -> Any:
    """Replace matrices, which are mappings with `rows`, `cols` and `data`, by arrays."""
    if depth > MAX_DEPTH:
        raise DataError(f"{where[:200]} nests more than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_with_arrays(where, item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if "data" in value and ("sizes" in value or {"rows", "cols"} <= value.keys()):
        return _matrix(where, value)
    return {
        str(key): _with_arrays(f"{where}: {key}", item, depth + 1) for key, item in value.items()
    }


def _matrix(where: str, value: dict[str, Any]) -> Any:
    """Return the array; those of one or many axes have `sizes` in place of `rows` and `cols`."""
    data, given = value["data"], value.get("sizes", [value.get("rows"), value.get("cols")])
    sizes = numbers(f"{where}: rows and cols", given)
    if isinstance(data, list) and (len(data) > np.prod(sizes) or len(data) > MAX_NUMBERS):
        return data  # points of a board or an image: no part of a calibration
    found = numbers(where, data)
    if found.size != np.prod(sizes) or sizes.min() < 0:
        listed = " x ".join(f"{n:g}" for n in sizes)
        raise DataError(f"{where} claims {listed} numbers, but has {found.size}")
    return found.reshape([int(n) for n in sizes])
