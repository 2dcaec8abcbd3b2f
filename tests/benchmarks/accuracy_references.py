"""Methods without learning that the accuracy benchmark compares with."""

from typing import Any

from pose_obj_3d.evaluation import ensemble_kalman, metrics
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.tracks import map_smoothing
from pose_obj_3d.tracks import track_smoothing as smoothers
from pose_obj_3d.tracks.types import Tracks
from tests.benchmarks.accuracy_cases import BOUND_TRACK, FRAMES, Case

REFERENCES = {
    "dlt": evaluation.DLT,
    "ml": "maximum likelihood",
    "huber": "robust (Huber)",
    "consensus": "pairwise consensus",
    "mean7": f"{FRAMES}-frame weighted mean",
    "savgol7": f"Savitzky-Golay ({FRAMES} frames, degree 2)",
}
TRACK_REFERENCES = {
    "rts": "RTS smoother, tuned without true positions",
    "hindsight": "H: best RTS smoother, tuned on the true test positions of moving points",
    "hindsight_all": "best RTS smoother, tuned on the true test positions of all points",
    "map": "MAP, whole track, without true positions",
    "eks": ensemble_kalman.NAME,
}
HINDSIGHT = {"hindsight": "moving", "hindsight_all": "all"}
"""Method -> the column that it is tuned on."""
BOUNDS = {
    "bound_frame": evaluation.BOUND_FRAME,
    "bound_window": f"Cramer-Rao bound, {FRAMES} frames where still",
    "bound_track": BOUND_TRACK,
}


def smoothed(case: Case, method: str) -> tuple[Estimate, dict[str, Any]]:
    """Smooth whole tracks, tuned without truth on training tracks, or with the test's truth."""
    dt, test = case.protocol.frame_period_s, case.test
    if method == "eks":
        return ensemble_kalman.ensemble_kalman(test, case.rig), {}
    if method == "map":
        found = map_smoothing.smooth(test, case.rig)
        return Estimate(found.filled(test.xyz).float(), found.covariance.float()), {}
    if method == "rts":
        motion, q = smoothers.fit_motion(case.tracks("train", with_truth=False), dt)
        return at_noise(test, motion, q, dt), {"motion": motion, "q": q}
    points = evaluation.column_masks(test, dt)[HINDSIGHT[method]]
    assert test.truth is not None
    found = []
    for motion in smoothers.Q_RANGE:
        q = smoothers.hindsight_process_noise(test, motion, dt, points)
        estimate = at_noise(test, motion, q, dt)
        found.append((metrics.mpjpe(estimate.xyz, test.truth, points).mean, motion, q, estimate))
    _, motion, q, best = min(found, key=lambda x: x[0])
    return best, {"motion": motion, "q": q}


def at_noise(tracks: Tracks, motion: str, q: float, dt: float) -> Estimate:
    """Smooth whole tracks by a Kalman smoother with a given process noise."""
    found = smoothers.rts(tracks, motion, q, dt)
    return Estimate(found.filled(tracks.xyz).float(), found.covariance.float())
