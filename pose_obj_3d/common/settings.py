"""Settings that a user writes into a file, as frozen dataclasses. One engine for all config files.

Field names are the keys of the file, type hints say what a value must be, `setting` adds rules.
Every fault is a `ConfigError` of one line with the full key, what was found, and what is allowed;
whoever loads a file puts its name before that. Types are strict: true is no number, and a number
is no text where the form of the file has another way to write it.
"""

import contextlib
import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.names import near_names

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_TEXT = 4096  # characters of a text
MAX_ITEMS = 1000  # entries of a list
MAX_SHOWN = 60  # characters of a value in a message
T = TypeVar("T", bound="DataclassInstance")
Field = dataclasses.Field[Any]


@dataclass(frozen=True)
class Form:
    """How the values of a kind of file are read, and how its faults are told.

    Attributes:
        is_lenient: A number may be written as text, a text as a whole number, and a list of one
            entry as the entry, as people do in YAML.
        unknown: What is said of an unknown `key`.
        quote: Is put around a name that was probably meant.
        show: Writes a value into a message.
    """

    is_lenient: bool
    unknown: str
    quote: str
    show: Callable[[object], str]

    def fault(self, key: str, value: object, rule: str) -> ConfigError:
        """Give the error that says what was found and which rule it breaks."""
        return ConfigError(f"{key} is {self.show(value)}; {rule}")


def as_json(value: object) -> str:
    """Give a value as JSON for a message, cut where it is long."""
    return _cut(value, lambda plain: json.dumps(plain, ensure_ascii=True))


def as_python(value: object) -> str:
    """Give a value as Python writes it for a message, cut where it is long."""
    return _cut(value, lambda plain: repr(list(plain) if isinstance(plain, tuple) else plain))


def _cut(value: object, write: Callable[[Any], str]) -> str:
    try:
        text = write(value)
    except (RecursionError, ValueError):
        text = type(value).__name__
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


JSON = Form(False, "unknown key {key!r}", "'", as_json)
YAML = Form(True, "{key} is unknown", "", as_python)


class Check(Protocol):
    """Anything that checks a value whose type is right."""

    def check(self, key: str, value: Any, form: Form) -> None:
        """Raise ConfigError where the value cannot be used."""


@dataclass(frozen=True)
class Rule:
    """What holds for a good value.

    Attributes:
        text: Says it, as the second half of a sentence.
        holds: Checks it; is called with a value of the right type.
        tells_type: `text` says of what type the value must be, too.
    """

    text: str
    holds: Callable[[Any], bool]
    tells_type: bool = False

    def check(self, key: str, value: object, form: Form) -> None:
        """Raise ConfigError unless the rule holds."""
        if not self.holds(value):
            raise form.fault(key, value, self.text)


@dataclass(frozen=True)
class OneOf:
    """A text, or each text of a list, is one of these."""

    choices: Sequence[str]

    def check(self, key: str, value: str | Sequence[str], form: Form) -> None:
        """Raise ConfigError with the choice that was probably meant."""
        verb, entries = ("is", [value]) if isinstance(value, str) else ("holds", value)
        for entry in entries:
            if entry not in self.choices:
                near = near_names(entry, sorted(self.choices), form.quote)
                raise ConfigError(f"{key} {verb} {as_python(entry)}; {near}")


def setting(default: Any, *rules: Check, **marks: object) -> Any:
    """Give a dataclass field with rules; `marks` are further metadata of the field."""
    return dataclasses.field(default=default, metadata={"rules": rules, **marks})


def between(low: float, high: float) -> Rule:
    """Give the rule that a number lies in a range, its ends included."""
    top = f"{high:g}" if isinstance(high, float) else str(high)
    return Rule(f"allowed: {low} to {top}", lambda value: value is None or low <= value <= high)


def among(choices: Sequence[str]) -> Rule:
    """Give the rule that a text is one of these."""
    return Rule(f"allowed: {', '.join(choices)}", choices.__contains__)


def all_different(allowed: str, holds: Callable[[Any], object]) -> Rule:
    """Give the rule that no entry of a list is there twice, and that something holds for each."""
    return Rule(f"allowed: {allowed}", lambda v: each_once(v) and all(map(holds, v)))


def each_once(values: Collection[object]) -> bool:
    """Tell whether no value is there twice."""
    return len(set(values)) == len(values)


def require(ok: bool, key: str, value: object, allowed: str, form: Form = YAML) -> None:
    """Raise ConfigError unless `ok`; for what no rule of a single value can say."""
    if not ok:
        raise form.fault(key, value, f"allowed: {allowed}")


def names(cls: "type[DataclassInstance]") -> list[str]:
    """List the keys of a section."""
    return [f.name for f in dataclasses.fields(cls) if f.metadata.get("is_key", True)]


def check(section: "DataclassInstance", prefix: str = "", form: Form = YAML) -> None:
    """Check the rules of every field; `prefix` is put before the names of keys.

    Raises:
        ConfigError: A rule is broken.
    """
    for field in dataclasses.fields(section):
        for rule in field.metadata.get("rules", ()):
            rule.check(f"{prefix}{field.name}", getattr(section, field.name), form)


def read(
    cls: type[T], raw: Mapping[str, Any], form: Form, prefix: str = ""
) -> tuple[dict[str, Any], dict[str, Field]]:
    """Read the values of a section, and of the sections in it.

    Args:
        cls: The section's dataclass.
        raw: Key -> value, as a file gives them.
        form: How they are read.
        prefix: Is put before the names of keys in messages.

    Returns:
        Arguments of `cls`, one for each key of `raw`; and full key -> field of the keys that `raw`
        sets, those of inner sections included.

    Raises:
        ConfigError: A key is unknown, a value is of another type, or an inner section is at fault.
    """
    hints, fields = typing.get_type_hints(cls), {f.name: f for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    given: dict[str, Field] = {}
    for key, value in raw.items():
        full = f"{prefix}{key}"
        if key not in (known := names(cls)):
            near = near_names(key, sorted(known), form.quote)
            raise ConfigError(f"{form.unknown.format(key=full[:MAX_SHOWN])}; {near}")
        if dataclasses.is_dataclass(inner := hints[key]):
            if not isinstance(value, dict):
                listed = ", ".join(names(typing.cast("type[Any]", inner)))
                raise ConfigError(f"{full} must be a section with keys {listed}")
            values[key], inner_given = _section(inner, value, form, f"{full}.")
            given.update(inner_given)
        else:
            values[key] = _value(inner, value, full, fields[key], form)
            given[full] = fields[key]
    return values, given


def _section(
    cls: Any, raw: Mapping[str, Any], form: Form, prefix: str
) -> tuple[Any, dict[str, Field]]:
    values, given = read(cls, raw, form, prefix)
    return cls(**values), given


def flat(
    cls: type[Any], raw: Mapping[str, Any], is_meant: Callable[[Field], bool]
) -> dict[str, Any]:
    """Give full key -> value of a section, with defaults for what `raw` lacks.

    Args:
        cls: The section's dataclass.
        raw: Its plain values, and sections in it as mappings.
        is_meant: Tells which fields are wanted.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(field.default):
            part = flat(type(field.default), raw.get(field.name, {}), is_meant)
            found.update({f"{field.name}.{name}": value for name, value in part.items()})
        elif is_meant(field):
            found[field.name] = raw.get(field.name, field.default)
    return found


class _MisfitError(Exception):
    """A value is not of the type that its key has; the text is said of the key."""


def _value(hint: Any, value: object, key: str, field: Field, form: Form) -> object:
    try:
        return _fit(hint, value, form)
    except _MisfitError as error:
        for rule in field.metadata.get("rules", ()):
            if isinstance(rule, Rule) and rule.tells_type:
                raise form.fault(key, value, rule.text) from None
        raise ConfigError(f"{key} {error}") from None


def _fit(hint: Any, value: object, form: Form) -> object:
    """Give a value as the type that a hint names, or raise `_MisfitError`."""
    if isinstance(hint, types.UnionType):
        return _fit_any(typing.get_args(hint), value, form)
    if typing.get_origin(hint) is tuple:
        return _fit_list(typing.get_args(hint)[0], value, form)
    if hint is str:
        return _fit_text(value, form)
    if hint is float:
        return _fit_number(value, form)
    if type(value) is not hint:  # true is no whole number here
        raise _no(hint.__name__, value, form)
    return value


def _no(kind: str, value: object, form: Form) -> _MisfitError:
    return _MisfitError(f"must be {kind}, found {form.show(value)}")


def _fit_any(hints: Sequence[Any], value: object, form: Form) -> object:
    """Fit the first type that a value has; where it has none, the first type says what is wrong."""
    faults = []
    for hint in hints:
        try:
            return _fit(hint, value, form)
        except _MisfitError as error:
            faults.append(error)
    raise faults[0]


def _fit_list(hint: Any, value: object, form: Form) -> tuple[object, ...]:
    if not isinstance(value, list):
        if not form.is_lenient:
            raise _no("a list", value, form)
        value = [value]
    if len(value) > MAX_ITEMS:
        raise _no(f"a list of at most {MAX_ITEMS} entries", value, form)
    return tuple(_fit(hint, item, form) for item in value)


def _fit_text(value: object, form: Form) -> str:
    if type(value) is not str and not (form.is_lenient and type(value) is int):
        raise _no("str", value, form)
    text = str(value)
    if not text.isprintable() or len(text) > MAX_TEXT:
        allowed = f"printable texts of at most {MAX_TEXT} characters"
        raise _MisfitError(f"is {form.show(text)}; allowed: {allowed}")
    return text


def _fit_number(value: object, form: Form) -> float:
    number = value
    if form.is_lenient and isinstance(value, str):  # YAML reads 1e-3 as text
        with contextlib.suppress(ValueError):
            number = float(value)
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise _no("float", value, form)
    if not math.isfinite(number):
        raise _MisfitError(f"is {form.show(number)}; allowed: finite numbers")
    return float(number) if form.is_lenient else number
