"""Lifting what was watched: by a network of any type, or by an estimator without learning."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.executing.poses import LiftedPose, lifted_pose
from data_generation.RLBench.executing.settings import Method
from pose_obj_3d.common.config_files import config_of
from pose_obj_3d.common.errors import DataError, PoseObj3DError
from pose_obj_3d.common.facts import FRAME_AXIS_M
from pose_obj_3d.evaluation import protocol
from pose_obj_3d.evaluation.frame_poses import GROUP, frames_of
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.rigid_frames import fit_frames
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.models.triangulation import MAP, SINGLE_FRAME, Triangulation
from pose_obj_3d.tracks import track_smoothing
from pose_obj_3d.tracks.loading import load_tracks, make_rig
from pose_obj_3d.tracks.triangulating import single_frame
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import Config
from pose_obj_3d.training.model_registry import build_model

WINDOW = 7
"""Frames of a window of an estimator without learning."""
RTS = "rts"


class Lifter(Protocol):
    """Turns detections into points."""

    @property
    def ids(self) -> list[str] | None:
        """The keypoints that it knows, `T<task>/<group>/<name>`; None: any."""

    def rig(self, data: FormalData) -> Rig:
        """Return the cameras that it uses."""

    def estimate(self, tracks: Tracks, rig: Rig, frame_period_s: float) -> Estimate:
        """Estimate all points of all frames."""


@dataclass(frozen=True)
class Reference:
    """An estimator without learning; smoothers see the whole watch.

    Attributes:
        name: One of `choices.ESTIMATORS`.
    """

    name: str

    @property
    def ids(self) -> None:
        """Any keypoint."""
        return

    def rig(self, data: FormalData) -> Rig:
        """Return all cameras."""
        return make_rig(data)

    def estimate(self, tracks: Tracks, rig: Rig, frame_period_s: float) -> Estimate:
        """Estimate each frame alone, its window, or the whole watch."""
        if self.name in SINGLE_FRAME:
            return single_frame(SINGLE_FRAME[self.name], tracks, rig)
        if self.name == RTS:
            motion, q = protocol.RTS_MOTION, protocol.RTS_Q
            return _filled(track_smoothing.rts(tracks, motion, q, frame_period_s), tracks)
        if self.name == MAP:
            whole = Triangulation(MAP).whole_tracks(tracks, rig)
            assert whole is not None
            return _filled(whole, tracks)
        degree = {"mean": 0, "savitzky_golay": 2}[self.name]
        return _filled(track_smoothing.savitzky_golay(tracks, WINDOW, degree), tracks)


def _filled(found: Estimate, tracks: Tracks) -> Estimate:
    return Estimate(found.filled(tracks.xyz), found.covariance)


class Trained:
    """The model of a checkpoint, of any NETWORK.TYPE; its config is in the checkpoint."""

    def __init__(self, path: Path) -> None:
        """Read a checkpoint.

        Raises:
            PoseObj3DError: It is none, or damaged.
            ConfigError: It knows no group `frames`.
        """
        self._path, self._state = path, checkpoints.load(path)
        self._config = config_of(path, self._state, Config)
        self._ids: list[str] = self._state["keypoint_ids"]
        if not frames_of(self._ids):
            groups = sorted({name.split("/")[1] for name in self._ids if "/" in name})
            raise ConfigError(
                f"{path}: its keypoints have no waypoint frames (groups: {', '.join(groups)});"
                " train with OBJ_POSE_DATA.KEYPOINTS ['frames'] on an archive with that group"
            )
        self._model: Model | None = None

    @property
    def ids(self) -> list[str]:
        """The keypoints that it was trained on."""
        return self._ids

    def rig(self, data: FormalData) -> Rig:
        """Return the cameras of the config's TEST_CAMERAS."""
        return make_rig(data, self._config.OBJ_POSE_DATA.TEST_CAMERAS)

    def estimate(self, tracks: Tracks, rig: Rig, frame_period_s: float) -> Estimate:
        """Run the model over all frames."""
        if self._model is None:
            self._model = build_model(self._config.NETWORK, len(self._ids), rig)
            checkpoints.load_model(self._path, self._model, self._state)
            self._model.eval()
        rules = protocol.Protocol(
            self._config.NETWORK.TEMPORAL_LENGTH,
            None,
            self._config.TEST.BATCH_SIZE,
            frame_period_s,
        )
        return protocol.estimate(self._model, tracks, rig, rules)


def open_lifter(method: Method) -> Lifter:
    """Return what lifts for a method.

    Raises:
        ConfigError: Its checkpoint cannot be used.
    """
    if method.checkpoint is None:
        return Reference(method.name)
    try:
        return Trained(method.checkpoint)
    except PoseObj3DError as error:
        raise ConfigError(str(error)) from None


def check_task(lifter: Lifter, method: Method, task: int, names: list[str]) -> None:
    """Refuse a checkpoint of other keypoints.

    Args:
        lifter: Of the method.
        method: For messages.
        task: A task id.
        names: Keypoints of the task's scene, `frames/<waypoint>/<point>`.

    Raises:
        ConfigError: It does not know a waypoint frame of the task.
    """
    if lifter.ids is None:
        return
    known = [name.removeprefix(f"T{task}/") for name in lifter.ids if name.startswith(f"T{task}/")]
    strangers = [name for name in names if name.startswith(f"{GROUP}/") and name not in known]
    if strangers:
        tasks = sorted({name.split("/")[0] for name in lifter.ids})
        raise ConfigError(
            f"{method.checkpoint}: does not know {strangers[0]} of task {task}; it was trained on"
            f" {', '.join(tasks)}: leave the task out, or use a checkpoint that was trained on it"
        )


def groups_of(lifter: Lifter) -> list[str]:
    """List the groups of keypoints that a lifter needs."""
    return list(dict.fromkeys(name.split("/")[1] for name in lifter.ids or [f"T/{GROUP}/"]))


@torch.no_grad()
def lift_poses(
    lifter: Lifter, data: FormalData, task: int, frame: int, occlusion: str
) -> dict[str, LiftedPose]:
    """Return the waypoints' poses in a frame, without those that nobody has seen.

    A waypoint counts as seen where each of its three points is usable in two views of some frame.

    Args:
        lifter: What lifts.
        data: What was watched, of the task.
        task: Its id.
        frame: Number of the frame.
        occlusion: `keep` or `drop`.
    """
    ids = [
        f"T{task}/{name}"
        for name in data.keypoint_names(task)
        if lifter.ids is None or f"T{task}/{name}" in lifter.ids
    ]
    rig = lifter.rig(data)
    try:
        tracks = load_tracks(data, rig, [task], "test", lifter.ids or ids, occlusion, False)
    except DataError:  # no point is seen by two views
        return {}
    found = lifter.estimate(tracks, rig, data.frame_period_s)
    seen = ((tracks.weights > 0).sum(1) >= 2).any(0)
    frames = [f for f in frames_of(ids) if bool(seen[list(f.points)].all())]
    if not frames:
        return {}
    points = torch.tensor([frame.points for frame in frames])
    lengths = torch.full((2,), FRAME_AXIS_M, dtype=torch.float64)
    fitted = fit_frames(found.xyz[frame][points], lengths, found.covariance[frame][points])
    poses = {}
    for n, one in enumerate(frames):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = fitted.rotation[n].numpy(), fitted.position[n].numpy()
        if np.isfinite(T).all():
            poses[one.name.rpartition("/")[2]] = lifted_pose(T, fitted.covariance[n])
    return poses
