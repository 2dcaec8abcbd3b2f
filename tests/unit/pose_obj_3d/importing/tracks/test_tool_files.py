"""What the tools' own writers wrote is read back: `make_files.py` made the files."""

import importlib.util

import numpy as np
import pytest

from pose_obj_3d import import_tracks, lift
from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.importing.tracks.opening import import_tracks as imported
from pose_obj_3d.importing.tracks.options import ImportOptions
from pose_obj_3d.importing.tracks.registry import reader_of

HAS_SLEAP_IO = importlib.util.find_spec("sleap_io") is not None
needs_sleap_io = pytest.mark.skipif(not HAS_SLEAP_IO, reason="sleap-io is not installed")
EXACT = 1e-6  # [px]
ONE = ["dlc_csv", "dlc_h5", "dlc_fixed", "lightning_pose", "eks", "analysis", "analysis_standard"]
SLP = [pytest.param("slp", marks=needs_sleap_io)]
TWO = ["two_animals", pytest.param("slp_two", marks=needs_sleap_io)]


def read(made, folder, **options):
    return imported(
        [str(made / folder)], ImportOptions(calibration=made / "calibration.toml", **options)
    )


def agree(members, points, confidence):
    """Check points (V, T, K, 2) and confidence (V, T, K), NaN where missing."""
    np.testing.assert_allclose(members["points"], points, atol=EXACT, rtol=0)
    expected = np.where(np.isnan(points[..., 0]), 0, confidence)
    np.testing.assert_allclose(members["confidence"], expected, atol=1e-6)


@pytest.mark.parametrize("folder", ONE + SLP)
def test_one_animal(made, known, folder):
    members = read(made, folder).members
    agree(members, known.points[:, :, 0], known.confidence[:, :, 0])
    assert members["camera_names"].tolist() == ["left", "mid", "right"]
    assert members["keypoint_names"].tolist() == ["nose", "back", "tail"]
    assert members["image_size"].tolist() == [[640, 480]] * 3


@pytest.mark.parametrize("folder", TWO)
@pytest.mark.parametrize("animal", [0, 1])
def test_one_of_two_animals(made, known, folder, animal):
    members = read(made, folder, individuals=(("ada", "bob")[animal],)).members
    agree(members, known.points[:, :, animal], known.confidence[:, :, animal])
    assert members["keypoint_names"].tolist() == ["nose", "back", "tail"]


@pytest.mark.parametrize("folder", TWO)
def test_both_animals(made, known, folder):
    members = read(made, folder, individuals=("bob", "ada")).members
    V, T = known.points.shape[:2]
    agree(
        members,
        known.points[:, :, ::-1].reshape(V, T, 6, 2),
        known.confidence[:, :, ::-1].reshape(V, T, 6),
    )
    assert members["keypoint_names"].tolist()[:4] == [
        "bob/nose",
        "bob/back",
        "bob/tail",
        "ada/nose",
    ]


@pytest.mark.parametrize("folder", TWO)
def test_several_animals_need_a_choice(made, folder):
    with pytest.raises(DataError, match=r"2 individuals: ada, bob; choose with --individual"):
        read(made, folder)
    with pytest.raises(
        ConfigError, match=r"--individual eva: .* does not have it; allowed: ada, b"
    ):
        read(made, folder, individuals=("eva",))


def test_csv_and_hdf5_of_one_video_are_read_once(made):
    notes = read(made, "two_animals", individuals=("ada",)).notes
    (line,) = [note for note in notes if note.startswith("not read")]
    assert line.count("beside") == 3


def test_claims_of_the_ensemble_kalman_smoother(made):
    claimed = read(made, "eks").members["covariance"]
    seen = np.isfinite(claimed[..., 0, 0])
    np.testing.assert_allclose(
        claimed[seen], np.broadcast_to(np.diag([0.5, 2]), claimed[seen].shape)
    )
    assert seen.mean() > 0.9


def test_anipose(made, known):
    """Recordings one after the other; the calibration is the session's."""
    found = imported([str(made / "anipose")], ImportOptions())
    T = known.points.shape[1]
    both = [np.concatenate([x, x[:, : T // 2]], 1) for x in (known.points, known.confidence)]
    agree(found.members, both[0][:, :, 0], both[1][:, :, 0])
    assert found.members["sequence_starts"].tolist() == [0, T]
    assert any(
        "2 recordings, one after the other: run1 from frame 0, run2" in n for n in found.notes
    )
    folder = made / "anipose" / "mouse1" / "pose-2d"
    again = imported([str(folder)], ImportOptions())
    np.testing.assert_array_equal(again.members["points"], found.members["points"])


@pytest.mark.parametrize(
    ("folder", "tool"),
    [
        ("dlc_csv", "DeepLabCut"),
        ("dlc_h5", "DeepLabCut"),
        ("lightning_pose", "Lightning Pose"),
        ("eks", "Lightning Pose"),
        ("analysis", "SLEAP"),
        ("slp", "SLEAP"),
    ],
)
def test_content_tells_the_tool(made, tmp_path, folder, tool):
    """Whatever the file's name."""
    renamed = tmp_path / "tracks.dat"
    renamed.write_bytes(next((made / folder).iterdir()).read_bytes())
    reader = reader_of(renamed)
    assert reader is not None
    assert reader.tool == tool


def test_the_command(made, known, tmp_path, capsys):
    out = tmp_path / "tracks.npz"
    flags = ["--calibration", str(made / "calibration.toml"), "--fps", "50", "--units", "m"]
    sources = [str(path) for path in sorted((made / "dlc_csv").iterdir())]
    assert import_tracks.main([*sources, *flags, "--out", str(out)]) == 0
    assert "3 views (left, mid, right), 40 frames, 3 keypoints" in capsys.readouterr().out
    with np.load(out) as members:
        agree(members, known.points[:, :, 0], known.confidence[:, :, 0])
        assert float(members["fps"]) == 50
        assert str(members["units"]) == "m"


def test_the_reader_behind_lift(made, known, tmp_path):
    """The noise is 0.3 px at 1 m, so 0.5 mm."""
    flags = ["--calibration", str(made / "calibration.toml"), "--units", "m"]
    flags += ["--no_pictures", "--keep", "smoother", "--out", str(tmp_path)]
    assert lift.main(["--points2d", str(made / "analysis"), *flags]) == 0
    points = np.load(tmp_path / "points3d.npz")["points"]
    error = np.linalg.norm(points - known.truth[:, 0], axis=-1)
    assert np.nanmedian(error) < 1e-3


def test_results_lie_beside_the_source(made):
    assert lift.default_out(f"left={made}/dlc_csv/a.b.csv") == made / "dlc_csv" / "a.b_3d"
    assert lift.default_out(str(made / "dlc_csv")) == made / "dlc_csv_3d"


def test_a_tracks_file_takes_no_flags_of_others(made, tmp_path, capsys):
    np.savez(tmp_path / "t.npz", points=np.zeros((2, 1, 1, 2)))
    assert lift.main(["--points2d", str(tmp_path / "t.npz"), "--individual", "ada"]) == 2
    assert "is a tracks.npz" in capsys.readouterr().err
