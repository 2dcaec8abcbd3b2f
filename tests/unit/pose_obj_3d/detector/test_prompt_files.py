"""Prompts of a user: boxes, mask files and colours."""

import json

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import MAX_MESSAGE, DataError
from pose_obj_3d.detector.colour_words import COLOURS, colour_in, colour_mask
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.prompt_files import FilePrompts
from pose_obj_3d.detector.prompts import ArchivePrompts
from pose_obj_3d.formal import read_formal
from rlbench.const import colors
from tests.unit.pose_obj_3d.detector.pictured import COLOURS as DRAWN
from tests.unit.pose_obj_3d.detector.pictured import KEYPOINTS, TASK, Pictured, write_pictured

GROUPS = ((KEYPOINTS[0], KEYPOINTS[1]), (KEYPOINTS[2],))


@pytest.fixture
def pictures(tmp_path):
    return DemoPictures(read_formal(write_pictured(tmp_path, Pictured(examples=4, frames=2))))


def written(tmp_path, entries):
    path = tmp_path / "prompts.json"
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    return path


def test_boxes_masks_and_colours_become_masks(pictures, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:20, 30:35] = 255
    cv2.imwrite(str(tmp_path / "own.png"), mask)
    entries = {
        "T9": {
            "0": {
                "front": {KEYPOINTS[1]: [3, 4, 9, 12]},
                "*": {KEYPOINTS[2]: "own.png"},
            },
            "*": {"*": {KEYPOINTS[0]: "the lime block"}},
        }
    }
    source = FilePrompts.read(pictures, GROUPS, written(tmp_path, entries), TASK)
    first = source.prompts(TASK, 0)
    box, empty = first.views[3].masks
    assert box.sum() == 6 * 8
    assert box[4:12, 3:9].all()
    assert not empty.any()  # `front` has an entry of its own
    np.testing.assert_array_equal(first.views[0].masks[1], mask > 0)
    assert not first.views[0].masks[0].any()
    by_colour, exact = source.prompts(TASK, 1), ArchivePrompts(pictures, TASK).prompts(TASK, 1)
    overlaps = [
        (a.masks[0] & b.masks[0]).sum() / max(1, (a.masks[0] | b.masks[0]).sum())
        for a, b in zip(by_colour.views, exact.views, strict=True)
    ]
    assert max(overlaps) > 0.8


def test_descriptions_name_the_colour_of_the_first_group(pictures):
    source = FilePrompts.of_descriptions(pictures, GROUPS, TASK)
    for example in range(4):
        shown = source.prompts(TASK, example)
        wanted = COLOURS[list(DRAWN)[example % len(DRAWN)]]
        np.testing.assert_allclose(shown.views[0].colours[0], wanted, atol=0.02)
        assert np.isnan(shown.views[0].colours[1]).all()


def test_archives_without_descriptions_say_what_to_give(pictures):
    del pictures.data.meta["descriptions"]
    with pytest.raises(DataError, match="does not describe .* --prompts a JSON file"):
        FilePrompts.of_descriptions(pictures, GROUPS, TASK)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], "the file must be a mapping"),
        ({"T9": 3}, "T9 must be a mapping"),
        ({"T9": {"x": {}}}, "'x' is no example number"),
        ({"T9": {"0": {"back": {}}}}, "'back' is no camera of the archive; it has left_shoulder"),
        ({"T9": {"0": {"front": [1]}}}, "T9 0 front must be a mapping"),
        ({"T9": {"0": {"front": {"a": [1, 2, 3]}}}}, "T9 0 front a is"),
        ({"T9": {"0": {"front": {"a": [5, 2, 3, 4]}}}}, "left, top, right, bottom"),
        ({"T9": {"0": {"front": {"a": "the mauve block"}}}}, "a text with a colour"),
        ({"T9": {"0": {"front": {"a": None}}}}, "a is None"),
        ({"T8": {"*": {"*": {KEYPOINTS[0]: "red"}}}}, "no entry of T9; it has 'T8'"),
        ({"T9": {"4": {"*": {KEYPOINTS[0]: "red"}}}}, "T9 has no example 4; the archive has 4"),
        ({"T9": {"*": {"*": {"a": "red"}}}}, "'a' is no keypoint; .* each group: waypoints/way"),
        (
            {"T9": {"*": {"*": {KEYPOINTS[0]: [64, 1, 80, 9]}}}},
            "T9 . . waypoints/waypoint0: the box .64, 1, 80, 9. has no pixel .* 64 x 64 px",
        ),
        ({"T9": {"*": {"*": {KEYPOINTS[0]: [0.1, 0.2, 0.3, 0.4]}}}}, "has no pixel"),
    ],
)
def test_entries_that_cannot_be_used(pictures, tmp_path, entries, message):
    with pytest.raises(DataError, match=message) as found:
        FilePrompts.read(pictures, GROUPS, written(tmp_path, entries), TASK)
    assert len(str(found.value)) <= MAX_MESSAGE


def test_prompts_that_stay_empty_are_told(pictures, tmp_path, caplog):
    caplog.set_level("INFO")
    entries = {"*": {"*": {KEYPOINTS[1]: "red", KEYPOINTS[3]: "blue"}}}
    path = written(tmp_path, {"T9": entries, "T12": {}})
    FilePrompts.read(pictures, GROUPS, path, TASK)
    assert f"T9: empty prompts of {KEYPOINTS[2]}" in caplog.text
    assert f"T9: the detector needs no prompt of {KEYPOINTS[3]}" in caplog.text


def test_files_that_are_not_there(pictures, tmp_path):
    with pytest.raises(DataError, match="none.json: No such file"):
        FilePrompts.read(pictures, GROUPS, tmp_path / "none.json", TASK)
    path = written(tmp_path, {"T9": {"*": {"*": {KEYPOINTS[0]: "none.png"}}}})
    with pytest.raises(DataError, match="none.png does not exist"):
        FilePrompts.read(pictures, GROUPS, path, TASK).prompts(TASK, 0)


def test_colours_are_those_of_rlbench():
    assert list(COLOURS.items()) == colors


@pytest.mark.parametrize(
    ("text", "expected"),
    [("pick up the Red block", "red"), ("bored", None), ("", None), ("a teal, red", "teal")],
)
def test_the_first_colour_of_a_text(text, expected):
    assert colour_in(text) == expected


def test_a_colour_is_found_as_one_patch_of_an_objects_size():
    picture = np.full((100, 100, 3), 90, np.uint8)
    picture[10:20, 10:20] = (200, 10, 10)
    picture[50:54, 50:54] = (230, 20, 20)
    picture[70:75, 5:15] = (20, 20, 200)
    mask = colour_mask(picture, "red")
    assert mask.sum() == 100
    assert mask[10:20, 10:20].all()
    assert not colour_mask(picture, "lime").any()
    picture[:] = (200, 10, 10)  # all of the picture is no object
    assert not colour_mask(picture, "red").any()
