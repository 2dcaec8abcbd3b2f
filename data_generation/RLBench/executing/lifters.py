"""Lifting what was watched: by a network of any type, or by an estimator without learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.executing.bodies import Relation, Sight, find_pose
from data_generation.RLBench.executing.poses import LiftedPose
from data_generation.RLBench.executing.settings import TRUTH, Method
from pose_obj_3d.common.config_files import config_of
from pose_obj_3d.common.errors import DataError, PoseObj3DError
from pose_obj_3d.evaluation import protocol
from pose_obj_3d.evaluation.frame_poses import GROUP, frames_of
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.models.choices import ESTIMATORS
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

    @property
    def window(self) -> int | None:
        """Frames that the estimate of one frame rests on; None: all that were watched."""

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

    @property
    def window(self) -> int | None:
        """One frame, a window, or the whole watch."""
        if self.name in SINGLE_FRAME:
            return 1
        return None if self.name in (RTS, MAP) else WINDOW

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

    @property
    def window(self) -> int | None:
        """The window of its network, which may be the whole watch."""
        network = self._config.NETWORK
        is_window = network.TYPE != "STC" or network.STC.CONTEXT == "window"
        return network.TEMPORAL_LENGTH if is_window else None

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
        ConfigError: Its checkpoint cannot be used, or it is the truth, which nothing lifts.
    """
    if method.name == TRUTH:
        raise ConfigError(f"{TRUTH} lifts nothing; choose one of {', '.join(ESTIMATORS)}")
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


def known_ids(lifter: Lifter, task: int, names: Sequence[str]) -> list[str]:
    """Return the keypoints that a lifter lifts together; by default those of the task."""
    return lifter.ids or [f"T{task}/{name}" for name in names]


def groups_of(lifter: Lifter) -> list[str]:
    """List the groups of keypoints that a lifter needs."""
    return list(dict.fromkeys(name.split("/")[1] for name in lifter.ids or [f"T/{GROUP}/"]))


@torch.no_grad()
def lift_poses(
    lifter: Lifter,
    data: FormalData,
    task: int,
    frame: int,
    occlusion: str,
    since: int = 0,
    relations: Mapping[str, Sequence[Relation]] | None = None,
) -> dict[str, LiftedPose]:
    """Return the waypoints' poses in a frame, without those that what was seen leaves open.

    A point counts as seen where it is usable in two views of some frame of the look. One that a
    single view sees helps, as do waypoints that always lie alike (`bodies`).

    Args:
        lifter: What lifts.
        data: What was watched, of the task.
        task: Its id.
        frame: Number of the frame.
        occlusion: `keep` or `drop`.
        since: First frame of the look.
        relations: Waypoint -> those that always lie alike to it.
    """
    ids = [
        f"T{task}/{name}"
        for name in data.keypoint_names(task)
        if lifter.ids is None or f"T{task}/{name}" in lifter.ids
    ]
    if lifter.window is not None:  # what was before says nothing of what is there now
        looked = [track[:, since:] for track in data.tracks[task]]
        data = replace(data, tracks={task: looked})
        frame, since = frame - since, 0
    rig = lifter.rig(data)
    try:
        tracks = load_tracks(data, rig, [task], "test", lifter.ids or ids, occlusion, False)
    except DataError:  # no point is seen by two views
        return {}
    found = lifter.estimate(tracks, rig, data.frame_period_s)
    sight = _sight(found, tracks, rig, frame, since, lifter.window)
    frames = {f.name.rpartition("/")[2]: f.points for f in frames_of(ids)}
    poses = {}
    for name, points in frames.items():
        others = [
            (frames[r.source], r) for r in (relations or {}).get(name, ()) if r.source in frames
        ]
        pose = find_pose(sight, points, others)
        if pose is not None:
            poses[name] = pose
    return poses


def _sight(
    found: Estimate, tracks: Tracks, rig: Rig, frame: int, since: int, window: int | None
) -> Sight:
    """Return what a look tells of all K points, in a frame."""
    count = len(tracks)
    looked = slice(since, count)
    seen = ((tracks.weights[looked] > 0).sum(1) >= 2).any(0)  # (K,)
    xyz = torch.where(seen[:, None], found.xyz[frame].double(), torch.nan)
    half = (count if window is None else window) // 2
    near = slice(max(since, frame - half), frame + half + 1)
    weights = tracks.weights[near].double()
    total = weights.sum(0)  # (V, K)
    uv = (weights[..., None] * tracks.uv[near].double().nan_to_num()).sum(0) / total[..., None]
    variance = rig.sigma_px**2 / total
    if tracks.noise is not None and not tracks.noise.is_white:
        variance = variance * (weights > 0).sum(0)  # what lasts is not averaged away
    return Sight(
        xyz.numpy(),
        found.covariance[frame].double().numpy(),
        uv.numpy(),
        variance.numpy(),
        rig.intrinsics.double().numpy(),
        rig.extrinsics.double().numpy(),
    )
