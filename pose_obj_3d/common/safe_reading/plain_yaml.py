"""Read small YAML files of unknown origin safely: plain values, within limits.

Plain values are mappings, lists, texts, numbers and truth values. YAML can name one part many
times, so that a few hundred bytes stand for billions of values: values are counted before any is
built. Tags can make dates, sets and objects: they are refused. A key that is written twice would
silently replace the first: it is an error.
"""

from pathlib import Path
from typing import Any

import yaml

from pose_obj_3d.common.errors import ConfigError

MAX_BYTES = 2**16
MAX_NODES = 10_000  # values, each counted as often as it is named
MAX_DEPTH = 20
MAX_NUMBER = 2**63
_TAGS = ("null", "bool", "int", "float", "str", "seq", "map", "merge")
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """YAML's core types alone, each key once."""


_Loader.yaml_constructors = {
    f"{_TAG}{name}": yaml.SafeLoader.yaml_constructors[f"{_TAG}{name}"]
    for name in _TAGS
    if name != "merge"
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag.removeprefix(_TAG) in _TAGS]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}  # a date is a text


def _refuse(loader: _Loader, node: yaml.Node) -> None:
    raise yaml.constructor.ConstructorError(
        None, None, f"the tag {node.tag[:60]} is not allowed", node.start_mark
    )


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """Build a number, a truth value or nothing; else raise an error with the place in the file."""
    build = yaml.SafeLoader.yaml_constructors[node.tag]
    try:
        value = build(loader, node)
        is_huge = isinstance(value, int) and not -MAX_NUMBER < value < MAX_NUMBER
    except (ValueError, KeyError, OverflowError, AttributeError, IndexError):
        is_huge, value = False, _scalar
    if is_huge or value is _scalar:
        what = "is too large" if is_huge else f"is no {node.tag.removeprefix(_TAG)}"
        raise yaml.constructor.ConstructorError(
            None, None, f"{str(node.value)[:40]!r} {what}", node.start_mark
        )
    return value


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        _refuse(loader, node)
    seen: set[Any] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a text", key.start_mark
            )
        if key.value in seen and key.tag != f"{_TAG}merge":
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value[:60]!r} is there twice", key.start_mark
            )
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


for _name in ("null", "bool", "int", "float"):
    _Loader.add_constructor(f"{_TAG}{_name}", _scalar)
_Loader.add_constructor(f"{_TAG}map", _mapping)
_Loader.add_constructor(None, _refuse)


def read_yaml(path: Path) -> Any:
    """Read a file.

    Raises:
        ConfigError: It is no YAML of plain values, too large, or has a key twice.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            f"{path}: has more than {MAX_BYTES} bytes; this is no config, pass --cfg"
            " cfg/submit/<name>.yaml"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); pass --cfg cfg/submit/<name>.yaml"
        ) from error
    return values_of_yaml(path, text)


def values_of_yaml(path: Path, text: str, what: str = "config", max_nodes: int = MAX_NODES) -> Any:
    """Read a text.

    Args:
        path: Its file; for messages.
        text: The YAML.
        what: What the file should be; for messages.
        max_nodes: The most values that it may stand for.

    Raises:
        ConfigError: It is no YAML of plain values, stands for too many, or has a key twice.
    """
    try:
        _count(path, text, what, max_nodes)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it builds less than SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {_where(error)}") from error


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem or 'a fault'} (line {mark.line + 1}, column {mark.column + 1})"
    return " ".join(str(error).split())


def _count(path: Path, text: str, what: str, max_nodes: int) -> None:
    """Refuse a file that stands for too many values, or nests too deeply, without building it."""
    counter = _Counter(max_nodes)
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        fault = counter.take(event)
        if fault:
            line = f" (line {event.start_mark.line + 1})" if event.start_mark else ""
            raise ConfigError(f"{path}: not a {what}: it {fault}{line}")


class _Counter:
    """Counts the values of a YAML file, those of a named part as often as it is named."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self.sizes: dict[str, int] = {}  # of the named parts
        self.open: list[tuple[str | None, int]] = []  # parts not yet complete: name, count before

    def take(self, event: yaml.Event) -> str:
        """Count a value; return what is wrong, or nothing."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.sizes:
                return f"names *{str(event.anchor)[:60]}, which is not complete there"
            self.count += self.sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            self.count += 1
            self._name(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open.append((event.anchor, self.count))
            self.count += 1
            self.sizes.pop(event.anchor or "", None)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = self.open.pop()
            self._name(anchor, self.count - start)
        if len(self.open) > MAX_DEPTH:
            return f"nests more than {MAX_DEPTH} levels"
        return f"stands for more than {self.most} values" if self.count > self.most else ""

    def _name(self, anchor: str | None, size: int) -> None:
        if anchor:
            self.sizes[anchor] = size
