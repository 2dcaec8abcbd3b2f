"""What figures share."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pose_obj_3d.common.colours import COLOURS, colour, marker
from pose_obj_3d.evaluation.figures import frame_image_path, table_figure
from pose_obj_3d.formal import ARCHIVE_NAME, UV_EXACT, read_formal
from pose_obj_3d.training.config import PACKAGE_DIR
from tests.unit.pose_obj_3d.synthetic import write_scene


def oklab(rgb):
    """(n, 3) sRGB in 0..1 -> OKLab (Ottosson 2020), in which equal distances look alike."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lms = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(lms) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def test_twenty_keypoints_have_colours_that_can_be_told_apart():
    colours = [colour(k) for k in range(20)]
    lab = oklab(np.array([to_rgb(c) for c in [*colours, "black", "white"]]))
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1) + np.eye(len(lab))
    assert distance.min() > 0.15
    assert colour(20) == COLOURS[0]
    assert len({(colour(k), marker(k)) for k in range(60)}) == 60


# What the colour blind see of linear red, green, blue (Machado, Oliveira, Fernandes, 2009).
SEEN = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("kind", SEEN)
def test_the_colour_blind_tell_twelve_keypoints_apart(kind):
    colours = np.array([to_rgb(c) for c in [*COLOURS[:12], "black", "white"]])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(SEEN[kind]).T, 0, 1)
    lab = oklab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1) + np.eye(len(lab))
    assert distance.min() > 0.085


def test_published_frames_belong_to_their_archive(tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", tasks=(0,)))
    (tmp_path / "frames").mkdir()
    name = "T0_1_front_3.jpg"
    path, listed = tmp_path / "frames" / name, tmp_path / "frames" / "frames.json"
    uv = data.tracks[0][1][data.camera_names.index("front"), 3, :, UV_EXACT]
    place = 0, 1, "front", 3
    assert frame_image_path(data, *place) is None
    path.write_bytes(b"")
    for known, is_found in ((uv, True), (uv + 0.1, False), (uv[1:], False)):
        listed.write_text(json.dumps({name: known.tolist()}), encoding="utf-8")
        assert frame_image_path(data, *place) == (path if is_found else None)
    for text in ("", "[]", "{}", json.dumps({name: "uv"})):
        listed.write_text(text, encoding="utf-8")
        assert frame_image_path(data, *place) is None


def test_a_table_is_drawn_short():
    rows = [["MPJPE [mm]", "all", "moving", "still", "fewer"], ["robust (Huber)", *"1234"]]
    (title, text) = (
        t.get_text() for t in table_figure([*rows, ["model: A (b)", *"5678"]], "T").texts
    )
    assert title == "T"
    assert text.split() == [
        "MPJPE",
        "[mm]",
        "all",
        "moving",
        "still",
        text.splitlines()[1],
        "robust",
        *"123",
        "model:",
        "A",
        "(b)",
        *"567",
        text.splitlines()[1],
    ]


@pytest.mark.parametrize(
    ("name", "tasks"),
    [(ARCHIVE_NAME, (9, 12, 40, 54, 79)), ("sim_more_formal.npz", (0, 8))],
)
def test_shipped_archives_have_frames(name, tasks):
    folder = PACKAGE_DIR / "data" / "RLBench_pose_est_data"
    data = read_formal(folder / name)
    for task in tasks:
        example = data.split(task)["test"][0]
        frame = data.tracks[task][example].shape[1] // 2
        found = [frame_image_path(data, task, example, c, frame) for c in data.camera_names]
        if None in found and (folder / f"{name[:-4]}_shipped.npz").exists():
            pytest.skip(f"{name} was replaced by another archive")
        assert None not in found
    assert sum(path.stat().st_size for path in (folder / "frames").iterdir()) < 1e6
