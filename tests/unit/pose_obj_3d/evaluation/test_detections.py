"""What the detections of a test are, and how far off they are by the true visibility."""

import dataclasses

import numpy as np
import pytest

from data_generation.RLBench.tracks.detector import PRESETS, DetectorNoise
from pose_obj_3d.common.archive.detections import DETECTED, DETECTOR, TRUTH, Witness
from pose_obj_3d.evaluation import detections, report
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation.protocol import Protocol
from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, VISIBILITY, read_formal
from pose_obj_3d.tracks.choosing import choose_detections
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from tests.unit.pose_obj_3d.synthetic import SIGMA_PX, write_scene

DETECTOR_SAYS = Witness(DETECTED, DETECTOR)
RAYLEIGH_MEDIAN = np.sqrt(2 * np.log(2))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("detections") / "a.npz"
    return read_formal(write_scene(path, examples=12, frames=40, detected=True))


def measured(archive, witness):
    data = choose_detections(archive, witness, [0])
    rig = make_rig(data)
    ids = keypoint_ids(data, [0], ("waypoints", "objects"))
    tracks = load_tracks(data, rig, [0], "test", ids)
    seen = detections.seen_points(archive, data, tracks, rig, ids)
    return tracks, rig, ids, seen, detections.errors_px(tracks, rig, seen)


def test_simulated_detections_are_off_by_their_noise(archive):
    tracks, _, _, seen, found = measured(archive, Witness())
    assert found["seen"]["median_px"] == pytest.approx(SIGMA_PX * RAYLEIGH_MEDIAN, rel=0.1)
    assert found["hidden"]["median_px"] == pytest.approx(SIGMA_PX * RAYLEIGH_MEDIAN, rel=0.25)
    assert found["seen"]["gross_percent"] == 0
    assert found["seen"]["usable_percent"] == found["hidden"]["usable_percent"] == 100
    assert "coverage_68_percent" not in found["seen"]
    x = np.concatenate([archive.tracks[0][n][:, :, :3] for n in archive.split(0)["test"]], 1)
    assert found["hidden"]["count"] == (x[..., VISIBILITY] == 0.5).sum()
    few, well = seen.columns["seen by fewer"], seen.columns["seen by two views or more"]
    assert not (few & well).any()
    assert int((few | well).sum()) == tracks.is_real.sum()


def test_the_claims_of_a_detector_are_compared_with_its_errors(archive):
    _, _, _, _, found = measured(archive, DETECTOR_SAYS)
    assert found["seen"]["coverage_68_percent"] == pytest.approx(68, abs=3)
    assert found["seen"]["coverage_95_percent"] == pytest.approx(95, abs=2)
    assert found["seen"]["usable_percent"] == 100


def test_what_is_seen_is_said_by_the_truth_and_what_is_usable_by_the_detector(archive):
    blind = [x.copy() for x in archive.detections[0]]
    for x, true in zip(blind, archive.tracks[0], strict=True):
        x[..., 5] = np.where(true[..., VISIBILITY] == 1, 0.9, 0.1)  # hidden: outside, it says
    changed = dataclasses.replace(archive, detections={0: blind})
    _, _, _, _, found = measured(changed, DETECTOR_SAYS)
    assert found["seen"]["usable_percent"] == 100
    assert found["hidden"]["usable_percent"] == 0
    assert found["hidden"]["median_px"] is None
    assert found["hidden"]["count"] == measured(archive, Witness())[4]["hidden"]["count"]


def test_gross_errors_are_counted(archive):
    far = [x.copy() for x in archive.tracks[0]]
    for x in far:
        x[:, ::4, :, UV_DETECTED] = x[:, ::4, :, UV_EXACT] + 30
    changed = dataclasses.replace(archive, tracks={0: far})
    found = measured(changed, Witness())[4]
    assert found["seen"]["gross_percent"] == pytest.approx(25, abs=2)


def test_tables_by_visibility_stand_in_the_report(archive):
    tracks, rig, ids, seen, found = measured(archive, DETECTOR_SAYS)
    result = evaluation.evaluate({"still": tracks.xyz}, tracks, rig, Protocol(7), ids, seen.columns)
    about = detections.describe(archive, DETECTOR_SAYS)
    result["detections"] = {"about": about, "errors": found, "columns": list(seen.columns)}
    text, page = report.detections_text(result), report.markdown({"Test": result})
    for shown in (text, page):
        assert about in shown
        assert "inside the claimed 95 % [%]" in shown
        assert "seen by fewer, median" in shown
    assert "| hidden |" in page
    measures = result["methods"]["still"]["seen by two views or more"]
    assert measures["median_mm"] < measures["mpjpe_mm"]


def test_without_measurements_there_are_no_such_tables(archive):
    tracks, rig, ids, *_ = measured(archive, Witness())
    result = evaluation.evaluate({"still": tracks.xyz}, tracks, rig, Protocol(7), ids)
    assert report.detections_text(result) == ""
    assert "by the true visibility" not in report.markdown({"Test": result})


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ({"sigma_px": 1.29}, "simulated, with white noise (independent in each frame) of 1.29 px"),
        ({"sigma_px": 1.29, "outlier_rate": [0.05] * 4, "drop_rate": 0.2}, "5 % outliers; 20 %"),
        (
            {"sigma_px": 0.81, **DetectorNoise(**PRESETS["as_measured"]).stated(4)},
            "errors of 0.81 px (standard deviation in each coordinate); 3.3 times that where the"
            " keypoint is hidden; errors that last: a time constant of 8.5 frames, and 33 % of the"
            " square error constant in a demonstration; gross errors of 9 % of the seen and 29 %",
        ),
    ],
)
def test_simulated_detections_are_described(archive, noise, expected):
    changed = dataclasses.replace(archive, meta={**archive.meta, "noise": noise})
    text = detections.describe(changed, Witness())
    assert expected in text
    assert text.endswith("Which of them are usable is what the truth says.")


def test_a_detector_is_described(archive):
    about = {
        "detector": "net",
        "folds": {"T0": {"0": 0, "1": 1, "2": 0}},
        "labelled_frames": 20,
    }
    changed = dataclasses.replace(archive, meta={**archive.meta, "detections": about})
    text = detections.describe(changed, DETECTOR_SAYS)
    assert "detector net, in 2 folds" in text
    assert "20 labelled frames of each view" in text
    assert text.endswith("what the detector says.")
    assert "what the truth says" in detections.describe(changed, Witness(DETECTED, TRUTH))
