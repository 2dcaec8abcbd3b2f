"""What an archive says of masks: which id the thing has that a keypoint hangs on."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data_generation.RLBench import convert_data
from data_generation.RLBench.config import load_config
from data_generation.RLBench.raw.store import RawStore
from pose_obj_3d.common.frame_files import MASKS, frame_file
from pose_obj_3d.formal import read_formal
from tests.unit.data_generation import fake_source

NAMES = {"0": "(background)", "5": "block", "6": "plate", "300": "far"}


def box(centre, half):
    return [x for c in centre for x in (c - half, c + half)]


def annotated(episode, waypoint, has_text=True):
    """Give an episode with named things, a plate around its waypoint, and a parent of it."""
    point = episode.xyz[0, 0]
    objects = [
        {"name": "plate", "id": 6, "bbox": box(point, 0.05)},
        {"name": "room", "id": 300, "bbox": box(point, 9.0)},
        {"name": "not drawn", "id": 500, "bbox": box(point, 0.01)},
    ]
    first = {"objects": objects, "waypoints": {"waypoint0": waypoint}}
    text = {"descriptions": ["lift the red block", "lift it"]} if has_text else {}
    info = {**episode.info, "segmentation_names": NAMES, **text}
    return replace(episode, info=info, obj_poses=[first, *episode.obj_poses[1:]])


@pytest.fixture
def archive(tmp_path, write_config):
    """Convert a small data set whose episodes were changed by a function; give the archive."""

    def make(change, **settings):
        # So large that each of the 400 ids of the made-up images is in one of them.
        images = {"obs_dim": [64, 64, 3], "cams": list(fake_source.CAMERAS)}
        wanted = {**images, "get_segmentations": True, **settings}
        path = Path(write_config(train_task_ids=[1], **wanted))
        config = load_config(path)
        store = RawStore(tmp_path / "d")
        store.create(0, config.fingerprint(), overwrite=True)
        for key in islice(config.plan(1, 3), 3):
            store.write(key, change(fake_source.make_episode(key, config)))
        store.close()
        flags = {"path_dataset": store.root, "path_dataset_config": path}
        argv = [x for name, value in flags.items() for x in (f"--{name}", str(value))]
        assert convert_data.main([*argv, "--output", str(tmp_path / "x.npz")]) == 0
        return read_formal(tmp_path / "x.npz")

    return make


@pytest.mark.parametrize(
    ("waypoint", "expected"),
    [
        ({"parent_id": 5}, 5),  # its parent is in the images
        ({"parent_id": 6}, 6),
        ({"parent_id": 300}, 6),  # put on a thing that lies in its parent
        ({"parent_id": 500}, 6),  # a parent that no image shows: the smallest thing around
        ({}, 6),
        (None, 6),
    ],
)
def test_each_keypoint_has_the_id_of_its_thing(archive, waypoint, expected):
    data = archive(lambda episode: annotated(episode, waypoint))
    assert data.meta["mask_ids"]["T1"] == [[expected, 5, None]] * 3
    assert data.meta["descriptions"]["T1"] == ["lift the red block"] * 3
    assert frame_file(data.path, data.meta, (1, 0, "left", 0), MASKS).is_file()


def test_the_points_of_a_frame_share_the_thing_of_its_origin(archive):
    """Points on the axes may lie outside the thing."""
    names = tuple(f"frames/waypoint0/{point}" for point in ("origin", "x", "y"))

    def change(episode):
        xyz = np.repeat(episode.xyz[:, :1], 3, 1)
        xyz[:, 1, 0] += 0.2
        xyz[:, 2, 1] += 0.2
        return annotated(replace(episode, keypoint_names=names, xyz=xyz), {})

    assert archive(change).meta["mask_ids"]["T1"] == [[6, 6, 6]] * 3


def test_fingers_look_alike(archive):
    names = ("waypoints/waypoint0", "robot/left_finger", "robot/right_finger")
    data = archive(lambda episode: replace(episode, keypoint_names=names))
    assert data.exchangeable(1) == [["robot/left_finger", "robot/right_finger"]]


def test_nothing_is_said_where_masks_or_texts_are_not_there(archive):
    data = archive(lambda e: annotated(e, {}, has_text=False), get_segmentations=False)
    assert not {"mask_pattern", "mask_ids", "descriptions", "exchangeable"} & set(data.meta)
    assert "image_pattern" in data.meta


def test_an_archive_without_images_stays_as_it_is(archive):
    data = archive(lambda episode: annotated(episode, {}), cams=[])
    assert not {"mask_pattern", "mask_ids", "descriptions", "image_pattern"} & set(data.meta)
    assert np.isfinite(data.tracks[1][0]).all()
