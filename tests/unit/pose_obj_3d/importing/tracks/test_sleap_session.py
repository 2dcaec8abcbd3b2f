"""A `.slp` file of all cameras, whose session holds their calibration."""

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.reading import read_calibration
from pose_obj_3d.importing.tracks.opening import import_tracks
from pose_obj_3d.importing.tracks.options import ImportOptions

sleap_io = pytest.importorskip("sleap_io", reason="sleap-io is not installed")


def write(path, made, is_calibrated=True):
    """Write what the files of the three cameras hold into one, with a session."""
    parts = [sleap_io.load_slp(str(p), open_videos=False) for p in sorted((made / "slp").iterdir())]
    known = read_calibration(made / "calibration.toml")
    cameras = [
        sleap_io.Camera(
            matrix=known.intrinsics[v],
            dist=known.distortion[v, :5],
            rvec=cv2.Rodrigues(known.extrinsics[v, :, :3])[0].ravel(),
            tvec=known.extrinsics[v, :, 3],
            size=tuple(int(x) for x in known.image_size[v]),
            name=name,
        )
        if is_calibrated
        else sleap_io.Camera(name=name)
        for v, name in enumerate(known.names)
    ]
    session = sleap_io.RecordingSession(sleap_io.CameraGroup(cameras))
    for camera, part in zip(cameras, parts, strict=True):
        session.add_video(part.videos[0], camera)
    frames = [frame for part in parts for frame in part.labeled_frames]
    labels = sleap_io.Labels(frames, videos=[part.videos[0] for part in parts], sessions=[session])
    labels.save(str(path), embed=False)
    return known


def test_the_sessions_calibration_is_used(made, tmp_path):
    known = write(tmp_path / "all.slp", made)
    given = ImportOptions(calibration=made / "calibration.toml")
    found = import_tracks([str(tmp_path / "all.slp")], ImportOptions(units=known.unit)).members
    expected = import_tracks([str(tmp_path / "all.slp")], given).members
    assert found["camera_names"].tolist() == known.names
    for name in ("points", "intrinsics", "extrinsics", "distortion", "image_size"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_a_session_that_was_never_calibrated_needs_a_file(made, tmp_path):
    write(tmp_path / "all.slp", made, is_calibrated=False)
    with pytest.raises(DataError, match="nothing says where the cameras are; add --calibration"):
        import_tracks([str(tmp_path / "all.slp")], ImportOptions())
