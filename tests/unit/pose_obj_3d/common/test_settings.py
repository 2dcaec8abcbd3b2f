"""The engine of both config files: types, rules, sections, and what its faults say."""

from dataclasses import dataclass, field

import pytest

from pose_obj_3d.common import settings
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.settings import (
    JSON,
    YAML,
    OneOf,
    Rule,
    all_different,
    among,
    between,
    setting,
)


@dataclass(frozen=True)
class Inner:
    SIZE: int = setting(3, between(1, 9))
    RATE: float = 0.5


@dataclass(frozen=True)
class Outer:
    INNER: Inner = Inner()
    NAME: str = setting("red", OneOf(("red", "green")))
    KIND: str = setting("a", among(("a", "b")))
    COUNTS: tuple[int, ...] = setting((), all_different("1 to 5", lambda n: 0 < n < 6))
    LIMIT: int | None = None
    FACTOR: float | tuple[float, ...] = 1.0
    WHOLE: int = setting(1, Rule("it must be a whole number", lambda _: True, tells_type=True))
    IS_ON: bool = True
    PLACE: str = field(default="", metadata={"is_key": False})


def load(raw, form=JSON):
    values, given = settings.read(Outer, raw, form)
    config = Outer(**values)
    settings.check(config, form=form)
    settings.check(config.INNER, "INNER.", form)
    return config, given


def test_values_sections_and_defaults():
    raw = {"INNER": {"SIZE": 4}, "COUNTS": [1, 2], "LIMIT": None, "FACTOR": [1, 2.5]}
    config, given = load(raw)
    assert config == Outer(Inner(4), COUNTS=(1, 2), FACTOR=(1, 2.5))
    assert list(given) == ["INNER.SIZE", "COUNTS", "LIMIT", "FACTOR"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"NAMES": "red"}, "unknown key 'NAMES'; did you mean 'NAME'?"),
        ({"name": "red"}, "unknown key 'name'; did you mean 'NAME'?"),
        ({"PLACE": "x"}, "unknown key 'PLACE'; allowed: COUNTS, FACTOR, "),
        ({"INNER": {"SIZ": 1}}, "unknown key 'INNER.SIZ'; did you mean 'SIZE'?"),
        ({"INNER": 3}, "INNER must be a section with keys SIZE, RATE"),
        ({"INNER": {"SIZE": 10}}, "INNER.SIZE is 10; allowed: 1 to 9"),
        ({"INNER": {"SIZE": True}}, "INNER.SIZE must be int, found true"),
        ({"INNER": {"SIZE": 2.0}}, "INNER.SIZE must be int, found 2.0"),
        ({"INNER": {"RATE": "1e-3"}}, 'INNER.RATE must be float, found "1e-3"'),
        ({"INNER": {"RATE": float("inf")}}, "INNER.RATE is Infinity; allowed: finite numbers"),
        ({"NAME": "gren"}, "NAME is 'gren'; did you mean 'green'?"),
        ({"NAME": 3}, "NAME must be str, found 3"),
        ({"NAME": "a\nb"}, 'NAME is "a\\nb"; allowed: printable texts'),
        ({"KIND": "c"}, 'KIND is "c"; allowed: a, b'),
        ({"COUNTS": 3}, "COUNTS must be a list, found 3"),
        ({"COUNTS": [1, 1]}, "COUNTS is [1, 1]; allowed: 1 to 5"),
        ({"COUNTS": [6]}, "COUNTS is [6]; allowed: 1 to 5"),
        ({"COUNTS": [0] * 5000}, "COUNTS must be a list of at most 1000 entries, found [0, 0"),
        ({"LIMIT": "x"}, 'LIMIT must be int, found "x"'),
        ({"FACTOR": "x"}, 'FACTOR must be float, found "x"'),
        ({"WHOLE": 1.5}, "WHOLE is 1.5; it must be a whole number"),
        ({"IS_ON": 1}, "IS_ON must be bool, found 1"),
    ],
)
def test_faults_name_key_value_and_what_is_allowed(raw, message):
    with pytest.raises(ConfigError) as caught:
        load(raw)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 500


def test_yaml_may_write_numbers_as_text_and_one_entry_without_brackets():
    config, _ = load({"INNER": {"RATE": "1e-3"}, "COUNTS": 3, "FACTOR": 2}, YAML)
    assert (config.INNER.RATE, config.COUNTS, config.FACTOR) == (1e-3, (3,), 2.0)
    with pytest.raises(ConfigError, match="NAME is '3'; allowed: green, red"):
        load({"NAME": 3}, YAML)
    with pytest.raises(ConfigError, match="INNER.SIZE must be int, found '4'"):
        load({"INNER": {"SIZE": "4"}}, YAML)
    with pytest.raises(ConfigError, match="NAMES is unknown; did you mean NAME"):
        load({"NAMES": 1}, YAML)
