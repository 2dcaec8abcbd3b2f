"""The tensors that data, models and training share: tracks and windows."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.geometry.noise_parts import NoiseParts


@dataclass(frozen=True)
class Tracks:
    """All frames of some examples; N frames, V views, K keypoints (of the richest task).

    Attributes:
        uv: (N, V, K, 2) detected [px].
        weights: (N, V, K) 1 = usable, 0 = not.
        robust: (N, V, K) weights times the Huber weight of the frame's own triangulation.
        xyz: (N, K, 3) robust triangulation of the single frame, less its `geometry.averaging_bias`
            [m]; filled in from other frames where fewer than two views are usable.
        info: (N, K, 3, 3) its information [1/m^2]; 0 where filled in.
        truth: (N, K, 3) true position [m], or None when no 3D may be used.
        precision: (N, V, K) true precision of the detections in units of 1 / rig.sigma_px^2, as the
            archive states its noise. Only bounds use it: a method does not know it. None where
            nobody knows it: of a real detector, or where the detector says what is usable.
        lasting: (V, 3) how long the errors last, as the archive states it: share of the square
            error that is slow, share that is constant for an example, time constant of the slow
            part [frames]. As for `precision`, only bounds use it. None where errors are stated to
            be independent, or nobody knows.
        keypoint: (N, K) index into `keypoint_ids`, -1 = the task has fewer keypoints.
        first: (N,) first frame of the example.
        last: (N,) last frame of the example.
        source: (N, 3) task, example, frame.
        claims: (N, V, K, 2, 2) covariance of its error that the detector claims for each detection
            [px^2], NaN where it claims none; None where no detector claims anything.
        p_seen: (N, V, K) probability, by the detector, that the keypoint is in the image and not
            hidden; 0 where nothing was detected. None without a detector.
        noise: How the detections err, where their errors are known not to be white (I = all of
            `keypoint_ids`); None = independent errors, and few gross ones. A method may know it:
            no truth is in it.
        floor: (N, K, 3, 3) covariance of that part of the frame's error which lasts, so that
            no average over neighbouring frames makes it smaller [m^2]; None where nothing does.
        cache: What was computed once from the above, by name.
    """

    uv: Tensor
    weights: Tensor
    robust: Tensor
    xyz: Tensor
    info: Tensor
    truth: Tensor | None
    precision: Tensor | None
    keypoint: Tensor
    first: Tensor
    last: Tensor
    source: Tensor
    claims: Tensor | None = None
    p_seen: Tensor | None = None
    lasting: Tensor | None = None
    noise: NoiseParts | None = None
    floor: Tensor | None = None
    cache: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __len__(self) -> int:
        """Return the number of frames, each the centre of one window."""
        return int(self.uv.shape[0])

    @property
    def is_real(self) -> Tensor:
        """(N, K) False where the task has no such keypoint."""
        return self.keypoint >= 0

    @property
    def by_frame(self) -> dict[str, Tensor]:
        """Attributes whose first axis is that of the N frames, by name."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        return {n: x for n, x in given.items() if isinstance(x, Tensor) and n != "lasting"}

    @cached_property
    def sums(self) -> Tensor:
        """(N + 1, K, 3, 4) running sums, float64: information times position, and information."""
        info = self.info.double()
        both = torch.cat([info @ self.xyz.double().unsqueeze(-1), info], -1)
        return torch.cat([torch.zeros_like(both[:1]), both.cumsum(0)])

    def to(self, device: torch.device) -> "Tracks":
        """Return the tracks on a device."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        moved: dict[str, Any] = {k: None if v is None else v.to(device) for k, v in values.items()}
        return Tracks(**moved)


@dataclass(frozen=True)
class Bins:
    """R stretches of frames around each centre, each as one averaged measurement.

    Attributes:
        xyz: (B, K, R, 3) mean weighted by information [m]; 0 where nothing was measured.
        info: (B, K, R, 3, 3) its information [1/m^2]; 0 where nothing was measured.
        frames: (B, R) frames of the stretch that the example has.
    """

    xyz: Tensor
    info: Tensor
    frames: Tensor


@dataclass(frozen=True)
class Bank:
    """What H smoothers of whole examples say about each centre frame.

    Attributes:
        full: (B, H, K, 3) from all frames [m].
        blind: (B, H, K, 3) from all frames but the centre [m].
    """

    full: Tensor
    blind: Tensor


@dataclass(frozen=True)
class Windows:
    """B windows of T frames; the centre frame is predicted. Units and meaning as in `Tracks`.

    Attributes:
        uv: (B, T, V, K, 2).
        weights: (B, T, V, K); the centre frame's are those that score it.
        robust: (B, T, V, K).
        xyz: (B, T, K, 3).
        info: (B, T, K, 3, 3).
        is_distinct: (B, T) False for frames that only repeat the edge of the example.
        keypoint: (B, K).
        truth: (B, K, 3) of the centre frame, or None.
        bins: What lies around the centre, for models that ask for it.
        bank: What smoothers of the whole example say, for models that ask for it.
        seen: (B, P) what a model worked out before; the windows then hold their centre frame alone.
    """

    uv: Tensor
    weights: Tensor
    robust: Tensor
    xyz: Tensor
    info: Tensor
    is_distinct: Tensor
    keypoint: Tensor
    truth: Tensor | None
    bins: Bins | None = None
    bank: Bank | None = None
    seen: Tensor | None = None

    @property
    def centre(self) -> int:
        """Index of the predicted frame."""
        return int(self.xyz.shape[1]) // 2
