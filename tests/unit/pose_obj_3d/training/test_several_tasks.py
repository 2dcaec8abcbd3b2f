"""Several tasks in one model: numbers of keypoints, groups by YAML, results of each task."""

import json

import numpy as np
import pytest

from pose_obj_3d.formal import ARCHIVE_NAME, read_formal, tasks_in, write_formal
from pose_obj_3d.train_command import main
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import PACKAGE_DIR, load_config
from pose_obj_3d.training.data_files import find_data
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, SIGMA_PX, example, rig

KEYPOINTS = {
    9: ["waypoints/waypoint0", "waypoints/waypoint1", "objects/block", "robot/tip"],
    12: [
        "waypoints/waypoint0",
        "objects/charger",
        "robot/tip",
        "robot/wrist",
        "objects/socket",
        "waypoints/waypoint1",
    ],
    54: ["waypoints/waypoint0", "robot/tip"],
}
CONFIG = """
NETWORK: {{DROPOUT: 0.0, {network}}}
TRAIN: {{NUM_EPOCHES: 2, BATCH_SIZE: 64}}
OBJ_POSE_DATA:
  ROOT_DIR: ./a.npz
  SUBJECTS_TRAIN: [{tasks}]
  KEYPOINTS: [{groups}]
"""
NETWORKS = {
    "STC": "TYPE: STC, STC: {CONTEXT: track, WIDTH: 16, NUM_LAYERS: 1, NUM_HEADS: 2}",
    "MHT": (
        "TYPE: MHT, NUM_CHANNELS: 16, AFTER_MHF_DIM: 32, ROT_MODEL: {NUM_CHANNELS: 16}, "
        "T_FORMER: {NUM_CHANNELS: 16, NUM_LAYERS: 3, NUM_HEADS: 2}"
    ),
}
both = pytest.mark.parametrize("unsupervised", [False, True], ids=["supervised", "unsupervised"])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("tasks") / "a.npz"
    tracks = {
        t: [
            example(np.random.default_rng([t, n]), 16, [k % 2 == 0 for k in range(len(names))])
            for n in range(5)
        ]
        for t, names in KEYPOINTS.items()
    }
    meta = {
        "image_size": [IMAGE, IMAGE],
        "camera_names": list(NAMES),
        "noise": {"sigma_px": SIGMA_PX},
        "task_names": {f"T{t}": f"task_{t}" for t in tracks},
        "keypoint_names": {f"T{t}": n for t, n in KEYPOINTS.items()},
    }
    write_formal(path, tracks, meta, *rig())
    return path


def train(
    archive,
    folder,
    network,
    unsupervised,
    tasks=("T9", "T12", "T54"),
    groups=("waypoints", "objects", "robot"),
):
    """Train by the command line; returns the results and the best checkpoint."""
    text = CONFIG.format(
        network=NETWORKS[network], tasks=", ".join(tasks), groups=", ".join(groups)
    )
    (folder / "c.yaml").write_text(text.replace("./a.npz", str(archive)), encoding="utf-8")
    assert main(["--cfg", str(folder / "c.yaml"), "--log", str(folder)], unsupervised) == 0
    (found,) = (folder / "log" / "submit").glob("*/results.json")
    (best,) = (folder / "checkpoint" / "submit").glob("*/best.pt")
    (result,) = json.loads(found.read_text(encoding="utf-8"))["results"].values()
    return result, checkpoints.load(best)


def names_of(tasks, groups):
    return [f"T{t}/{name}" for t in tasks for name in KEYPOINTS[t] if name.split("/")[0] in groups]


@pytest.mark.slow
@both
@pytest.mark.parametrize("network", NETWORKS)
def test_tasks_of_different_keypoints_train_together(archive, tmp_path, network, unsupervised):
    result, best = train(archive, tmp_path, network, unsupervised)
    assert best["keypoint_ids"] == names_of([9, 12, 54], ("waypoints", "objects", "robot"))
    for method, details in result["details"].items():
        assert set(details["task"]) == {"T9", "T12", "T54"}, method
        assert set(details["keypoint"]) == set(best["keypoint_ids"])
        assert sum(x["count"] for x in details["task"].values()) == result["counts"]["all"]
        assert all(0 < x["mpjpe_mm"] < 1000 for x in details["keypoint"].values())
    points = sum(
        16 * len(names) for names in KEYPOINTS.values()
    )  # one test example a task, no padding counted
    assert result["counts"]["all"] + result["counts"]["fewer than two views"] == points
    if not unsupervised:
        assert {f"val/mpjpe_mm/T{t}" for t in KEYPOINTS} <= set(best["history"][0])


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("groups", "tasks"),
    [(["robot"], [9, 12, 54]), (["objects"], [9, 12]), (["robot", "objects"], [12, 9])],
)
def test_groups_are_chosen_by_yaml(archive, tmp_path, network, groups, tasks):
    result, best = train(archive, tmp_path, network, True, [f"T{t}" for t in tasks], groups)
    assert best["keypoint_ids"] == names_of(tasks, groups)
    details = next(iter(result["details"].values()))
    assert set(details["group"]) == set(groups)
    assert set(details["task"]) == {f"T{t}" for t in tasks}


def test_a_task_without_the_group_is_named(archive, tmp_path, capsys):
    text = CONFIG.format(network=NETWORKS["STC"], tasks="T9, T54", groups="objects")
    (tmp_path / "c.yaml").write_text(text.replace("./a.npz", str(archive)), encoding="utf-8")
    assert main(["--cfg", str(tmp_path / "c.yaml"), "--log", str(tmp_path)], True) == 2
    assert (
        "T54 has no keypoints of OBJ_POSE_DATA.KEYPOINTS ['objects']; it has ['robot', 'waypoints']"
        in capsys.readouterr().err
    )


def test_a_task_learns_the_same_names_apart(archive, tmp_path):
    """waypoint0 of one task is not waypoint0 of another."""
    _, best = train(archive, tmp_path, "STC", True, groups=["waypoints"])
    assert len(set(best["keypoint_ids"])) == len(best["keypoint_ids"]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config_waypoints_all", "config_u_waypoints_all"])
def test_the_config_of_all_tasks_names_what_ships(name):
    path = PACKAGE_DIR / "cfg" / "submit" / f"{name}.yaml"
    section = load_config(path).OBJ_POSE_DATA
    data = find_data(section.ROOT_DIR, path, section.train_tasks())
    if data.name != ARCHIVE_NAME or tasks_in(data) != sorted(section.train_tasks()):
        pytest.skip(f"{data.name} is another archive")
    assert section.eval_tasks() == section.train_tasks()
    assert set(section.KEYPOINTS) <= {
        n.split("/")[0] for t in section.train_tasks() for n in read_formal(data).keypoint_names(t)
    }
