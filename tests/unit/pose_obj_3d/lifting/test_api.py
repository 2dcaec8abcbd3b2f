"""`lift_tracks`: the command on arrays, with the same numbers, and nothing left behind."""

import inspect
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch

from pose_obj_3d import lift, lift_tracks
from pose_obj_3d.common.errors import ConfigError, DataError, PoseObj3DError
from tests.unit.pose_obj_3d.lifting.test_bad_input import BAD
from tests.unit.pose_obj_3d.lifting.track_scenes import call, members, results, write


def arguments(m):
    """The members of a file as arguments of `lift_tracks`."""
    given = {name: value for name, value in m.items() if name != "fps"}
    return {**given, "fps": float(m["fps"])}


def assert_same(result, points):
    for name in ("points", "covariance", "is_measured", "weights", "noise_px"):
        array = getattr(result, name)
        assert array.dtype == points[name].dtype
        np.testing.assert_array_equal(array, points[name])
    assert result.method == str(points["method"])
    assert result.units == str(points["units"])
    assert result.keypoint_names == points["keypoint_names"].tolist()
    assert result.camera_names == points["camera_names"].tolist()


@pytest.fixture(scope="module")
def lifted():
    return lift_tracks(**arguments(members(frames=30, sequences=2)))


@pytest.fixture(scope="module")
def of_the_command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    path = write(folder / "tracks.npz", **members(frames=30, sequences=2))
    assert call(path, "--skeleton", "none") == 0
    return results(folder / "tracks_3d")


def test_the_numbers_are_those_of_the_command(lifted, of_the_command):
    points, report = of_the_command
    assert_same(lifted, points)
    # What the command says beside the numbers: which keypoints its pictures join.
    notes = [line for line in report["notes"] if not line.startswith("skeleton: ")]
    assert {**lifted.report.as_json(), "file": ""} == {**report, "file": "", "notes": notes}
    assert lifted.report.cameras[0].reprojection_px.count == lifted.report.cameras[0].detections
    assert lifted.report.error_mm[lifted.method].measured.mean < 6


def test_options_have_the_same_effect(tmp_path):
    m = members(frames=25, sequences=1)
    flags = ["--sigma_px", "1", "1", "2", "--views", "0", "overhead", "3", "--keep", "smoother"]
    path = write(tmp_path / "tracks.npz", **m, units=np.array("mm"))
    assert call(path, *flags, "--bridge_limit", "0") == 0
    result = lift_tracks(
        **arguments(m),
        units="mm",
        sigma_px=(1, 1, 2),
        views=(0, "overhead", 3),
        keep="smoother",
        bridge_limit=0,
    )
    points, report = results(tmp_path / "tracks_3d")
    assert_same(result, points)
    assert result.report.bridge_limit == report["bridge_limit"] == 0


@pytest.mark.slow
def test_training_gives_the_same_and_keeps_what_it_is_told_to(tmp_path):
    m = members(frames=25)
    path = write(tmp_path / "tracks.npz", **m)
    flags = ["--train", "--epochs", "1", "--keep", "model", "--seed", "3"]
    assert call(path, *flags) == 0
    trained = lift_tracks(
        **arguments(m), train=True, epochs=1, keep="model", seed=3, training_folder=tmp_path / "own"
    )
    assert_same(trained, results(tmp_path / "tracks_3d")[0])
    assert any("few to learn from" in line for line in trained.warnings)
    again = lift_tracks(**arguments(m), checkpoint=tmp_path / "own" / "best.pt", keep="model")
    np.testing.assert_allclose(again.points, trained.points, atol=1e-6)


def test_lists_do_as_well_as_arrays(lifted):
    m = members(frames=30, sequences=2)
    as_lists = {name: np.asarray(value).tolist() for name, value in m.items()}
    np.testing.assert_array_equal(lift_tracks(**as_lists).points, lifted.points)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    """No file, no handler of logs, no draw from a global generator, no other number of threads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    m = arguments(members(frames=25))
    handlers, threads = list(logging.getLogger().handlers), torch.get_num_threads()
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    lift_tracks(**m, train=True, epochs=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert logging.getLogger().handlers == handlers
    assert torch.get_num_threads() == threads
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [n for n in BAD if n not in ("no points", "near miss", "pickle")])
def test_bad_arrays_give_the_line_of_the_command(name):
    change, message = BAD[name]
    m = members()
    change(m)
    with pytest.raises(PoseObj3DError) as caught:
        lift_tracks(**{**m, "fps": float(m["fps"])})
    assert message in str(caught.value)
    assert str(caught.value).startswith("lift_tracks: ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma_px": -1.0}, "sigma_px -1.0: allowed: one finite number > 0"),
        ({"sigma_px": "much"}, "sigma_px much: allowed: numbers"),
        ({"views": ("left",)}, "views: 'left' is not in lift_tracks; allowed: 0 left_shoulder"),
        ({"epochs": 3}, "context, epochs and patience belong to train"),
        ({"train": True, "epochs": "many"}, "epochs many: allowed: a whole number"),
        ({"train": True, "epochs": 0}, "epochs 0: allowed: 1 or more"),
        ({"train": True, "checkpoint": "best.pt"}, "train and checkpoint exclude each other"),
        ({"train": True, "context": "day"}, "context day: allowed: window, track"),
        ({"keep": "all"}, "keep all: allowed: best, model, map, smoother, triangulation"),
        ({"keep": "model"}, "keep model: there is none; add train or checkpoint"),
        ({"bridge_limit": -1}, "bridge_limit -1: allowed: 0 (bridge nothing) to inf"),
    ],
)
def test_bad_options_name_the_argument(given, message):
    with pytest.raises(ConfigError) as caught:
        lift_tracks(**arguments(members(frames=20, sequences=1)), **given)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points": None}, "key 'points' is missing"),
        ({"fps": "fast"}, "fps must be one number"),
        ({"units": "cm"}, "units is 'cm'; allowed: m, mm"),
        ({"confidence": ["high"]}, "confidence must hold numbers of shape"),
    ],
)
def test_arguments_that_are_no_arrays(given, message):
    with pytest.raises(DataError) as caught:
        lift_tracks(**{**arguments(members(frames=20, sequences=1)), **given})
    assert str(caught.value).startswith(f"lift_tracks: {message}")


def test_views_of_different_lengths(lifted):
    m = arguments(members(frames=20, sequences=1))
    m["points"] = [view[: 20 - v].tolist() for v, view in enumerate(m["points"])]
    with pytest.raises(DataError, match="views of different numbers of frames: view 0") as caught:
        lift_tracks(**m)
    assert str(caught.value).startswith("lift_tracks: points ")


def test_warnings_name_arguments_too():
    m = arguments(members(frames=30, sequences=1))
    m["extrinsics"] = m["extrinsics"] * [1, 1, 1, 1000]
    (line,) = [w for w in lift_tracks(**m).warnings if "wrong units?" in w]
    assert "--" not in line


def test_every_flag_is_an_argument():
    flags = set(vars(lift.build_parser().parse_args(["--points2d", "tracks.npz"])))
    only_of_the_command = {"points2d", "out", "images", "no_pictures", "debug"}
    only_of_the_command |= {"write", "up", "skeleton", "video", "view", "pictures"}
    of_other_tools_files = {"calibration", "individual", "offset", "min_confidence"}
    wanted = flags - only_of_the_command - of_other_tools_files
    assert wanted <= set(inspect.signature(lift_tracks).parameters)


SCRIPT = """
import sys
import numpy as np
from pose_obj_3d import lift_tracks
with np.load(sys.argv[1]) as m:
    result = lift_tracks(m["points"], m["intrinsics"], m["extrinsics"])
np.save(sys.argv[2], result.points)
"""


@pytest.mark.slow
def test_from_any_folder(tmp_path):
    """As a function and as a command, in new processes that start elsewhere."""
    m = members(frames=20, sequences=1)
    del m["sequence_starts"], m["truth"]
    path = write(tmp_path / "tracks.npz", **{**m, "fps": np.array(30.0)})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for command in (
        ["-c", SCRIPT, str(path), "points.npy"],
        ["-m", "pose_obj_3d.lift", "--points2d", "../tracks.npz", "--no_pictures"],
    ):
        run = subprocess.run(
            [sys.executable, *command], cwd=elsewhere, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr[-2000:]
    assert [p.name for p in elsewhere.iterdir()] == ["points.npy"]
    points, _ = results(tmp_path / "tracks_3d")
    np.testing.assert_array_equal(np.load(elsewhere / "points.npy"), points["points"])
