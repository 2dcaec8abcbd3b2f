"""Pictures, masks and labels of demos, read by what the archive says of their files."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import MAX_MESSAGE, DataError
from pose_obj_3d.detector import clips as clips_module
from pose_obj_3d.detector.clips import demo_clips, load_clips, spread
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.prompts import ArchivePrompts, NoPrompts, groups_of
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.detector.pictured import (
    COLOURS,
    KEYPOINTS,
    MASKS,
    PICTURES,
    TASK,
    Pictured,
    place,
    write_pictured,
)

VIEWS = 4


@pytest.fixture
def archive(tmp_path):
    return read_formal(write_pictured(tmp_path))


def disc(picture, uv):
    """Give the colour at an image point."""
    u, v = np.floor(uv).astype(int)
    return tuple(int(c) for c in picture[v, u])


def test_clips_show_each_camera_of_each_demo_with_its_labels(archive):
    clips = load_clips(DemoPictures(archive), NoPrompts(DemoPictures(archive)), TASK, [1, 3])
    assert [(c.example, c.view) for c in clips] == [(n, v) for n in (1, 3) for v in range(VIEWS)]
    for clip in clips:
        assert clip.pictures.shape == (4, 64, 64, 3)
        assert clip.frames.tolist() == [0, 1, 2, 3]
        np.testing.assert_array_equal(clip.first, clip.pictures[0])
        track = archive.tracks[TASK][clip.example][clip.view]
        np.testing.assert_array_equal(clip.labels.uv, track[..., :2])
        np.testing.assert_array_equal(clip.labels.is_inside, track[..., 7] > 0)
        np.testing.assert_array_equal(clip.labels.is_seen, track[..., 7] == 1)
        colour = list(COLOURS.values())[(clip.example + 1) % len(COLOURS)]
        for picture, uv in zip(clip.pictures, clip.labels.uv[:, 2], strict=True):
            assert disc(picture, uv) in (colour, (255, 0, 255))  # or the tip before it


def test_pictures_that_do_not_fit_into_memory_lie_in_a_file(archive, monkeypatch, tmp_path):
    pictures = DemoPictures(archive)
    plain = demo_clips(pictures, NoPrompts(pictures), TASK, 0)
    monkeypatch.setattr(clips_module, "IN_MEMORY", 1000)
    folder = tmp_path / "cache"
    folder.mkdir()
    frames = [np.array([0, 2])]
    mapped = load_clips(pictures, NoPrompts(pictures), TASK, [0], frames, folder)
    assert isinstance(mapped[0].pictures, np.memmap)
    assert list(folder.iterdir()) == []  # it has no name, so nothing is left of it
    for a, b in zip(plain, mapped, strict=True):
        np.testing.assert_array_equal(a.pictures[[0, 2]], b.pictures)


@pytest.mark.parametrize(
    ("n", "count", "expected"),
    [(10, None, list(range(10))), (3, 5, [0, 1, 2]), (10, 4, [0, 2, 5, 7]), (10, 1, [0])],
)
def test_frames_are_chosen_at_equal_distances(n, count, expected):
    assert spread(n, count).tolist() == expected


def test_prompts_mark_the_object_that_keypoints_hang_on(archive):
    assert groups_of(archive, TASK) == (tuple(KEYPOINTS[:2]), (KEYPOINTS[2],))
    source = ArchivePrompts(DemoPictures(archive), TASK)
    for example in range(3):
        shown = source.prompts(TASK, example)
        for view in range(VIEWS):
            masks = shown.views[view].masks
            assert masks.shape == (2, 64, 64)
            for mask, k in zip(masks, (1, 2), strict=True):
                uv = archive.tracks[TASK][example][view, 0, k, :2]
                if mask.any():
                    centre = np.argwhere(mask).mean(0)[::-1] + 0.5
                    assert np.abs(centre - uv).max() < 4
        wanted = [list(COLOURS.values())[(example + i) % len(COLOURS)] for i in range(2)]
        np.testing.assert_allclose(shown.views[0].colours, np.array(wanted) / 255, atol=0.01)


def test_an_object_that_a_view_does_not_show_has_an_empty_mask(archive, tmp_path):
    path = place(tmp_path, MASKS, "front", 0, 0)
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.where(ids == 40, 4, ids))
    shown = ArchivePrompts(DemoPictures(archive), TASK).prompts(TASK, 0)
    assert not shown.views[3].masks[0].any()
    assert shown.views[0].masks[0].any()
    assert np.isfinite(shown.views[3].colours).all()


def without(data, *keys):
    return replace(data, meta={k: v for k, v in data.meta.items() if k not in keys})


def test_an_archive_without_pictures_says_how_to_make_them(archive):
    with pytest.raises(DataError, match='made without images; list the cameras .* in "cams"'):
        DemoPictures(without(archive, "image_pattern"))


def test_an_archive_without_masks_says_how_to_make_them(archive):
    with pytest.raises(DataError, match="get_segmentations"):
        ArchivePrompts(DemoPictures(without(archive, "mask_pattern")), TASK)


def test_masks_of_other_examples_are_refused(archive):
    meta = {**archive.meta, "mask_ids": {f"T{TASK}": [[40, 40, 41, None]]}}
    with pytest.raises(DataError, match="has 1 examples, the archive 6"):
        ArchivePrompts(DemoPictures(replace(archive, meta=meta)), TASK)


def test_a_prompt_for_keypoints_that_are_not_there_is_refused(archive):
    with pytest.raises(DataError, match="none of the keypoints objects/plate"):
        ArchivePrompts(DemoPictures(archive), TASK, (("objects/plate",),))


def test_missing_pictures_are_counted(archive, tmp_path):
    pictures = DemoPictures(archive)
    pictures.check([(TASK, n) for n in range(6)])
    for frame in (1, 3):
        place(tmp_path, PICTURES, "front", 2, frame).unlink()
    with pytest.raises(DataError, match="2 of 96 pictures are missing, such as .*2_rgb_1.png"):
        pictures.check([(TASK, n) for n in range(6)])
    with pytest.raises(DataError, match="does not exist"):
        pictures.read(TASK, 2, 3, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable image"),
        (b"P3 nothing", "not a readable image"),
        ("small", "32 x 20 px, the archive says 64 x 64"),
        ("cut", "not a readable image"),
        ("bomb", "2147483647 x 2147483647 px, the archive says 64 x 64"),
    ],
)
def test_pictures_that_cannot_be_used(archive, tmp_path, content, message):
    path = place(tmp_path, PICTURES, "front", 0, 0)
    whole = path.read_bytes()
    if content == "small":
        cv2.imwrite(str(path), np.zeros((20, 32, 3), np.uint8))
    elif content == "cut":
        path.write_bytes(whole[:40])
    elif content == "bomb":
        path.write_bytes(whole[:16] + b"\x7f\xff\xff\xff" * 2 + whole[24:])
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as found:
        DemoPictures(archive).check([(TASK, 0)])
    assert len(str(found.value)) <= MAX_MESSAGE
    assert "\n" not in str(found.value)


def test_masks_in_colour_are_refused(archive, tmp_path):
    path = place(tmp_path, MASKS, "front", 0, 0)
    cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(DataError, match="3 channels"):
        DemoPictures(archive).read_ids(TASK, 0, 3)


def test_no_prompts_need_no_masks(tmp_path):
    data = read_formal(write_pictured(tmp_path, Pictured(examples=3, frames=2, masks=False)))
    clip = demo_clips(DemoPictures(data), NoPrompts(DemoPictures(data)), TASK, 2)[1]
    assert clip.prompt.masks.shape == (0, 64, 64)
    assert groups_of(data, TASK) == ()
