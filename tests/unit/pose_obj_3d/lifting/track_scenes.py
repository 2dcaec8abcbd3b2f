"""Track files of a made-up scene, and what `lift` makes of them."""

import json

import numpy as np

from pose_obj_3d import lift, make_example_tracks, train_command
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, motion, project, rig, write_scene

SIGMA = np.array([1.0, 1.0, 1.0, 2.0])[:, None, None, None]
NAMES_K = ["lid", "handle", "cup", "tip"]


def members(frames=40, sequences=3, seed=0, outliers=0.03, missing=0.1, views=4):
    """What a file holds: 4 keypoints, one of them still, in several sequences [m]."""
    rng = np.random.default_rng(seed)
    K, E = rig()
    xyz = np.concatenate([motion(rng, frames, [True, False, True, True]) for _ in range(sequences)])
    uv = project(xyz, K, E)
    uv = uv + rng.normal(size=uv.shape) * SIGMA
    is_outlier = rng.random(uv.shape[:-1]) < outliers
    uv[is_outlier] += rng.uniform(-40, 40, (int(is_outlier.sum()), 2))
    uv[rng.random(uv.shape[:-1]) < missing] = np.nan
    return {
        "points": uv[:views],
        "intrinsics": K[:views],
        "extrinsics": E[:views],
        "truth": xyz,
        "keypoint_names": np.array(NAMES_K),
        "camera_names": np.array(NAMES[:views]),
        "sequence_starts": np.arange(sequences) * frames,
        "fps": np.array(20.0),
        "image_size": np.array([IMAGE, IMAGE]),
    }


def write(path, **values):
    np.savez_compressed(path, **values)
    return path


def call(path, *flags, pictures=False):
    return lift.main(["--points2d", str(path), *flags, *([] if pictures else ["--no_pictures"])])


def results(folder):
    with np.load(folder / "points3d.npz", allow_pickle=False) as archive:
        points = {name: archive[name] for name in archive.files}
    return points, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def assert_one_line(capsys, *words):
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    for word in words:
        assert word in error[0], error[0]


def trained_on_archive(folder, network):
    """Return best.pt of an archive, and what a track file of its keypoints holds."""
    archive = write_scene(folder / "a.npz", examples=6)
    config = (
        f"NETWORK: {network}\nTRAIN: {{NUM_EPOCHES: 1}}\nOBJ_POSE_DATA: {{ROOT_DIR: ./a.npz,"
        " KEYPOINTS: [waypoints, objects, robot]}\n"
    )
    (folder / "c.yaml").write_text(config, encoding="utf-8")
    assert (
        train_command.main(
            ["--cfg", str(folder / "c.yaml"), "--log", str(folder)], unsupervised=True
        )
        == 0
    )
    (best,) = folder.glob("checkpoint/*/*/best.pt")
    path = folder / "tracks.npz"
    assert (
        make_example_tracks.main(
            [str(path), "--archive", str(archive), "--task", "0", "--examples", "1"]
        )
        == 0
    )
    with np.load(path) as example:
        m = {name: example[name] for name in example.files}
    m["keypoint_names"] = np.array([f"T0/{name}" for name in m["keypoint_names"]])
    return str(best), m
