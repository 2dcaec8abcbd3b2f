"""What the comparison of two checkouts calls equal, and what a difference."""

from pathlib import Path

import numpy as np
import pytest

from tests.compare_checkouts import Checkout, compare_step


@pytest.fixture
def pair(tmp_path):
    """Give two checkouts whose step `s` has written nothing yet."""
    checkouts = [
        Checkout(name, tmp_path / f"root_{name}", Path("python"), tmp_path / name) for name in "ab"
    ]
    for checkout in checkouts:
        (checkout.out / "s").mkdir(parents=True)
    return checkouts


def write(checkout, name, content):
    path = checkout.out / "s" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        np.savez(path, **content)


ARRAY = np.array([[0.25, np.nan], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("name", "first", "second", "differences", "notes"),
    [
        ("x.npz", {"m": ARRAY}, {"m": ARRAY}, 0, 0),
        ("x.npz", {"m": ARRAY}, {"m": ARRAY.astype(np.float32)}, 0, 1),
        ("x.npz", {"m": ARRAY}, {"m": np.nextafter(ARRAY, 9)}, 1, 0),
        ("x.npz", {"m": ARRAY}, {"m": ARRAY[:1]}, 1, 0),
        ("x.npz", {"m": ARRAY}, {"n": ARRAY}, 2, 0),
        ("tracks.json", '{"a": 0.5}', '{"a": 0.5}', 0, 0),
        ("tracks.json", '{"a": 0.5}', '{"a": 0.50}', 1, 0),
        ("report.json", '"seconds": 0.5', '"seconds": 0.7', 0, 0),
        ("report.md", "5 points of 7 dropped", "5 of 7 points are left out", 0, 1),
        ("report.md", "5 points of 7 dropped", "5 points of 8 dropped", 1, 0),
        ("run_20260101_101010/x.txt", "a", "a\nb", 1, 0),
    ],
)
def test_one_file(pair, name, first, second, differences, notes):
    for checkout, content in zip(pair, (first, second), strict=True):
        write(checkout, name, content)
    found = compare_step("s", *pair)
    assert (len(found.differences), len(found.notes)) == (differences, notes)


def test_folders_and_moments_are_no_difference(pair):
    for checkout, moment in zip(pair, ("20260101_101010", "20260102_202020"), strict=True):
        text = f"{checkout.root}/a.py wrote {checkout.out}/run_{moment}"
        write(checkout, f"run_{moment}/said.txt", text)
    found = compare_step("s", *pair)
    assert (found.files, found.differences) == (1, [])


def test_a_file_that_is_missing(pair):
    write(pair[0], "a.txt", "")
    assert compare_step("s", *pair).differences == ["only a wrote a.txt"]
