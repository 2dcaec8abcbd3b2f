"""YAML of unknown origin: plain values, or one line at once."""

import time
from pathlib import Path

import pytest

from pose_obj_3d.common.errors import MAX_MESSAGE, ConfigError
from pose_obj_3d.common.safe_reading.plain_yaml import MAX_BYTES, MAX_NODES, read_yaml
from pose_obj_3d.training.config import load_config

CASES = Path(__file__).resolve().parents[6] / "shared" / "cases"


def read(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def bomb(levels, width):
    text = "&a0 [" + ",".join("x" * width) + "]"
    for n in range(1, levels):
        text = f"&a{n} [{text}" + f",*a{n - 1}" * (width - 1) + "]"
    return f"a: {text}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "a: 1\nb: [1, -2.5, .inf, x, 'y', true, null]",
            {"a": 1, "b": [1, -2.5, float("inf"), "x", "y", True, None]},
        ),
        (
            "a: !!str 1\nb: !!int 2\nc: !!float 3\nd: !!bool no\ne: !!null ''",
            {"a": "1", "b": 2, "c": 3.0, "d": False, "e": None},
        ),
        (
            "a: &x {b: 1, c: 2}\nd: *x\ne: {<<: *x, c: 3}",
            {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}, "e": {"b": 1, "c": 3}},
        ),
        ("a: &x 1\nb: [*x, *x]", {"a": 1, "b": [1, 1]}),
        ("a: 2001-01-01\nb: 2001-99-99", {"a": "2001-01-01", "b": "2001-99-99"}),
        ("a: 9223372036854775807", {"a": 2**63 - 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("1: a\n1.5: b", {1: "a", 1.5: "b"}),
        ("", None),
    ],
)
def test_plain_values_are_read(tmp_path, text, value):
    assert read(tmp_path, text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "the key 'a' is there twice .line 2, column 1"),
        ("b: {a: 1, 'a': 2}", "the key 'a' is there twice"),
        ("[1, 2]: 3", "a key must be a text"),
        ("{a: 1}: 3", "a key must be a text"),
        ("? [a]\n: 1", "a key must be a text"),
        ("a: !!int x", "'x' is no int"),
        ("a: !!float x", "'x' is no float"),
        ("a: !!bool maybe", "'maybe' is no bool"),
        ("a: !!int ''", "is no int"),
        ("a: !!int {}", "not valid YAML"),
        ("a: !!map [1]", "not allowed"),
        ("a: !!seq {b: 1}", "not valid YAML"),
        ("a: !!timestamp 2001-01-01", "timestamp is not allowed"),
        ("a: !!set {b}", "set is not allowed"),
        ("a: !!omap [b: 1]", "omap is not allowed"),
        ("a: !!binary aGk=", "binary is not allowed"),
        ("a: !!pairs [b: 1]", "not allowed"),
        ("a: !!python/object/apply:os.getcwd []", "python/object/apply:os.getcwd is not allowed"),
        ("a: !x 1", "!x is not allowed"),
        ("a: 9223372036854775808", "is too large"),
        ("a: " + "9" * 5000, "is no int|is too large"),
        ("a: 0x" + "f" * 60000, "is too large"),
        ("a: 1" + ":59" * 20000, "is too large|is no int"),
        (bomb(9, 9), f"stands for more than {MAX_NODES} values"),
        (bomb(3, 40), f"more than {MAX_NODES} values"),
        ("a: &x [*x]", "not complete"),
        ("a: *x", "not complete"),
        ("&x a: {b: *y}", "not complete"),
        ("[" * 60000, "nests more than 20"),
        ("{a: " * 10000, "nests more than 20"),
        ("- " * 30000, "nests more than 20"),
        ("[" + "x," * 20000 + "]", f"more than {MAX_NODES} values"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a: [1", "not valid YAML"),
        ("\t", "not valid YAML"),
        ("a: %x\n%", "not valid YAML"),
        (b"\xff\xfea", "cannot be read"),
        (b"a: \x00", "not valid YAML"),
        ("a: b" * 20000, "more than 65536 bytes"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    start = time.process_time()
    with pytest.raises(ConfigError, match=message) as found:
        read(tmp_path, text)
    assert time.process_time() - start < 5
    assert str(found.value).startswith(f"{tmp_path / 'c.yaml'}: ")
    assert len(str(found.value)) <= MAX_MESSAGE


def test_the_largest_file_is_read_in_seconds(tmp_path):
    start = time.process_time()
    assert (
        len(
            read(tmp_path, "a: [" + "\n  'x'," * 4999 + "'" + "y" * (MAX_BYTES - 35500) + "']")["a"]
        )
        == 5000
    )
    assert time.process_time() - start < 5


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize(
    "path",
    sorted([*CASES.glob("yaml_*.yaml"), *CASES.glob("not_a_checkpoint.txt")]),
    ids=lambda p: p.stem,
)
def test_cases(path):
    with pytest.raises(ConfigError, match=path.name) as found:
        load_config(path)
    assert len(str(found.value)) <= MAX_MESSAGE
