"""The example that `make_example_tracks` writes is a track file as a user's own."""

import numpy as np

from pose_obj_3d import make_example_tracks
from pose_obj_3d.formal import read_formal
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from tests.unit.pose_obj_3d.lifting.track_scenes import assert_one_line, call
from tests.unit.pose_obj_3d.synthetic import write_scene


def test_the_example_is_a_track_file(tmp_path, capsys):
    archive = write_scene(tmp_path / "a.npz", examples=10)
    path = tmp_path / "tracks.npz"
    flags = ["--archive", str(archive), "--task", "0"]
    assert make_example_tracks.main([str(path), *flags, "--examples", "2"]) == 0
    file = read_tracks(path)
    assert file.unit == "mm"
    assert file.sequence_starts == [0, 24]
    assert np.abs(file.points - file.measured)[np.isfinite(file.points)].max() > 0.1
    assert call(path) == 0
    assert make_example_tracks.main([str(path), *flags, "--examples", "9"]) == 2
    assert_one_line(capsys, "--examples 9", "has 2")


def test_what_a_detector_has_found_becomes_a_track_file(tmp_path, capsys):
    archive = write_scene(tmp_path / "a.npz", examples=10, detected=True)
    path = tmp_path / "tracks.npz"
    flags = ["--archive", str(archive), "--task", "0", "--examples", "2", "--detected"]
    assert make_example_tracks.main([str(path), *flags]) == 0
    data = read_formal(archive)
    says = np.concatenate([data.detections[0][n] for n in data.split(0)["test"]], 1)
    usable = says[..., 5] >= 0.5
    file = read_tracks(path)
    np.testing.assert_array_equal(np.isfinite(file.points).all(-1), usable)
    np.testing.assert_allclose(file.points[usable], says[..., :2][usable])
    np.testing.assert_allclose(file.covariance[usable][:, 0, 0], says[usable][:, 2] ** 2, rtol=1e-5)
    assert call(path) == 0
    plain = write_scene(tmp_path / "b.npz", examples=10)
    capsys.readouterr()
    flags[1] = str(plain)
    assert make_example_tracks.main([str(path), *flags]) == 2
    assert_one_line(capsys, "T0 has no detections")
