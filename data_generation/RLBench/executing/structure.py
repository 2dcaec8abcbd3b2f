"""Waypoints that always lie alike to each other: learned from training data, without labels.

Those that lie alike to each other at the start of all training examples count as one rigid body:
what is seen of one tells where the others are, also where they are outside the cameras' images.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.executing.bodies import Relation
from data_generation.RLBench.executing.lifters import WINDOW
from data_generation.RLBench.executing.poses import change_of
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.common.facts import FRAME_AXIS_M
from pose_obj_3d.evaluation.frame_poses import GROUP, frames_of
from pose_obj_3d.formal import FormalData, read_formal
from pose_obj_3d.geometry.rigid_frames import FramePoses, fit_frames, turn_between
from pose_obj_3d.tracks.loading import load_tracks, make_rig
from pose_obj_3d.tracks.track_smoothing import window_mean

Float = npt.NDArray[np.float64]
FEWEST = 8
"""Examples in which both waypoints must be seen."""
LOOSE = 1.25
"""Two waypoints lie alike where they differ between examples, in the median, by at most so many
times what the noise of the detections lets expect."""
_ROUNDS = 8
_FAR = 3.4  # standard deviations in 3 dimensions: 1 in 100


class Structure:
    """Relations between the waypoints of tasks."""

    def __init__(self, archive: Path) -> None:
        """Read an archive with the group `frames`.

        Raises:
            ConfigError: It cannot be read.
        """
        try:
            self._data = read_formal(archive)
        except PoseObj3DError as error:
            raise ConfigError(str(error)) from None
        names = [name for task in self._data.tracks for name in self._data.keypoint_names(task)]
        if not any(name.startswith(f"{GROUP}/") for name in names):
            groups = ", ".join(sorted({name.split("/")[0] for name in names}))
            raise ConfigError(
                f"{archive}: it has no keypoints of the group {GROUP} (groups: {groups}); generate"
                f' data with "keypoints": ["{GROUP}"] in the dataset config'
            )
        self._found: dict[int, dict[str, list[Relation]]] = {}

    def relations(self, task: int) -> dict[str, list[Relation]]:
        """Return waypoint -> its relations, the tightest first; nothing for unknown tasks."""
        if task not in self._found:
            self._found[task] = learned(self._data, task) if task in self._data.tracks else {}
        return self._found[task]


def learned(data: FormalData, task: int) -> dict[str, list[Relation]]:
    """Learn the relations of a task from the first frames of its training examples."""
    ids = [f"T{task}/{n}" for n in data.keypoint_names(task) if n.startswith(f"{GROUP}/")]
    frames = frames_of(ids)
    short = replace(data, tracks={task: [x[:, :WINDOW] for x in data.tracks[task]]})
    if not frames or not data.split(task)["train"]:
        return {}
    tracks = load_tracks(short, make_rig(short), [task], "train", ids, with_truth=False)
    spans = sorted(set(zip(tracks.first.tolist(), tracks.last.tolist(), strict=True)))
    middle = [(first + last) // 2 for first, last in spans]
    found = window_mean(tracks, WINDOW)
    usable = (tracks.weights > 0).sum(1) >= 2
    is_seen = torch.stack([usable[first : last + 1].any(0) for first, last in spans])
    points = torch.tensor([frame.points for frame in frames])
    lengths = torch.full((2,), FRAME_AXIS_M, dtype=torch.float64)
    poses = fit_frames(found.xyz[middle][:, points], lengths, found.covariance[middle][:, points])
    seen = is_seen[:, points].all(-1)  # (examples, waypoints)
    names = [frame.name.rpartition("/")[2] for frame in frames]
    relations: dict[str, list[Relation]] = {}
    for j, name in enumerate(names):
        others = [
            _relation(names[i], _of(poses, i, both), _of(poses, j, both))
            for i in range(len(names))
            if i != j and int((both := seen[:, i] & seen[:, j]).sum()) >= FEWEST
        ]
        relations[name] = sorted(
            (r for r in others if r.looseness <= LOOSE), key=lambda r: r.looseness
        )
    return relations


def _of(poses: FramePoses, number: int, rows: Tensor) -> FramePoses:
    return FramePoses(
        poses.rotation[rows, number], poses.position[rows, number], poses.covariance[rows, number]
    )


def _relation(source: str, a: FramePoses, b: FramePoses) -> Relation:
    """Average how b lies to a over examples, each as sure as its covariance says.

    Some examples show a waypoint badly, from two views on one line for instance.
    """
    into_a = a.rotation.transpose(-1, -2)
    turns, shifts = into_a @ b.rotation, (into_a @ (b.position - a.position)[..., None]).squeeze(-1)
    shift = shifts.median(0).values
    U, _, Vh = torch.linalg.svd(turns.sum(0))
    turn = U @ torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(U @ Vh))]).double()) @ Vh
    C = _carried(a, shift) + b.covariance
    of_turn, of_shift = (into_a @ part @ a.rotation for part in (C[:, :3, :3], C[:, 3:, 3:]))
    for _ in range(_ROUNDS):
        step, turn_error = _mean(turn_between(turns, turn.expand_as(turns)), of_turn)
        turn = torch.from_numpy(change_of(np.append(step.numpy(), np.zeros(3)))[:3, :3]) @ turn
        step, shift_error = _mean(shifts - shift, of_shift)
        shift = shift + step
    loose = max(
        _looseness(turn_between(turns, turn.expand_as(turns)), of_turn),
        _looseness(shifts - shift, of_shift),
    )
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = turn.numpy(), shift.numpy()
    worst = [float(torch.linalg.eigvalsh(error)[-1].sqrt()) for error in (turn_error, shift_error)]
    return Relation(
        source, T, loose, max(loose, 1.0) * math.hypot(FRAME_AXIS_M * worst[0], worst[1])
    )


def _mean(off: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (3,) of E vectors by their covariances (E, 3, 3), and its covariance.

    Those that are improbably far off count less.
    """
    W = torch.linalg.inv(C)
    distance = torch.einsum("ei,eij,ej->e", off, W, off).sqrt()
    W = W * (_FAR / distance).clamp(max=1.0)[:, None, None]
    error = torch.linalg.inv(W.sum(0))
    return error @ (W @ off[..., None]).sum(0).squeeze(-1), error


def _looseness(off: Tensor, C: Tensor) -> float:
    """Return how far E vectors are off in the median, in units of what (E, 3, 3) lets expect.

    The larger one of all examples and of the surer half: those that say little agree with anything.
    """
    expected = C.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
    ratio = off.norm(dim=-1) / expected
    surer = ratio[expected <= expected.median()]
    return float(torch.maximum(ratio.median(), surer.median()))


def _carried(poses: FramePoses, shift: Tensor) -> Tensor:
    """Return the covariances (E, 6, 6) of frames that lie at a shift (3,) in given ones."""
    arm = (poses.rotation @ shift[:, None]).squeeze(-1)
    J = torch.eye(6, dtype=arm.dtype).repeat(len(arm), 1, 1)
    x, y, z = arm.unbind(-1)
    o = torch.zeros_like(x)
    # A turn w of the given frame shifts the other by w x arm.
    rows = [torch.stack(row, -1) for row in ((o, z, -y), (-z, o, x), (y, -x, o))]
    J[:, 3:, :3] = torch.stack(rows, -2)
    return J @ poses.covariance @ J.transpose(-1, -2)
