"""Subsets of views: which are evaluated, and what is said about them."""

import pytest

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.evaluation import view_subsets
from pose_obj_3d.evaluation.variants import variants


def result(error, apart=None):
    return {
        "methods": {
            "model: STC": {
                "all": {"mpjpe_mm": error, "count": 9},
                "fewer than two views": {"mpjpe_mm": apart},
            }
        }
    }


def test_every_subset_is_evaluated():
    found = variants([0, 2, 3], [2, 3], [3], 7, True)
    pairs = [((0, 2), None), ((0, 3), None), ((2, 3), None)]
    assert found == [((0, 2, 3), None), *pairs, ((0, 2, 3), 3)]


def test_too_many_subsets():
    with pytest.raises(ConfigError, match=r"20 views have 184756 subsets of 10; at most 100"):
        variants(range(20), [10], [], 7, True)


def test_mean_and_worst():
    pairs = {("a", "b"): result(2.0, 7.0), ("a", "c"): result(6.0), ("b", "c"): result(1.0, 8.0)}
    one, two = view_subsets.summarise({("a",): result(None, 5.0), **pairs})
    assert (one["views"], one["subsets"], two["subsets"]) == (1, 1, 3)
    assert view_subsets.rows(two, "mpjpe") == [
        ["MPJPE [mm]", "all, mean", "all, worst", "worst views"],
        ["model: STC", "3.000", "6.000", "a, c"],
    ]
    assert view_subsets.rows(one, "mpjpe")[1] == ["model: STC", "5.000", "5.000", "a"]
    assert "Test, all 3 subsets of 2 views" in view_subsets.text(two, "mpjpe")
    assert view_subsets.markdown([], "mpjpe") == ""
