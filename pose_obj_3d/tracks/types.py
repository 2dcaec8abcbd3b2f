"""The tensors that data, models and training share: cameras, tracks, windows. Owns the window rule."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.geometry import multi_view as geometry


@dataclass(frozen=True)
class Rig:
    """Cameras of the used views.

    Attributes:
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        sigma_px: Noise of the detections per coordinate [px].
        view_ids: Numbers of the views in the archive.
    """

    intrinsics: Tensor
    extrinsics: Tensor
    sigma_px: float
    view_ids: tuple[int, ...]

    def to(self, device: torch.device) -> "Rig":
        """Return the rig on a device."""
        return Rig(
            self.intrinsics.to(device), self.extrinsics.to(device), self.sigma_px, self.view_ids
        )


@dataclass(frozen=True)
class Tracks:
    """All frames of some examples; N frames, V views, K keypoints (of the richest task).

    Attributes:
        uv: (N, V, K, 2) detected [px].
        weights: (N, V, K) 1 = usable, 0 = not.
        robust: (N, V, K) weights times the Huber weight of the frame's own triangulation.
        xyz: (N, K, 3) robust triangulation of the single frame, less its `geometry.averaging_bias`
            [m];
            filled in from other frames where fewer than two views are usable.
        info: (N, K, 3, 3) its information [1/m^2]; 0 where filled in.
        truth: (N, K, 3) true position [m], or None when no 3D may be used.
        precision: (N, V, K) true precision of the detections in units of 1 / rig.sigma_px^2, as the
            archive states its noise. Only bounds use it: a method does not know it.
        keypoint: (N, K) index into `keypoint_ids`, -1 = the task has fewer keypoints.
        first: (N,) first frame of the example.
        last: (N,) last frame of the example.
        source: (N, 3) task, example, frame.
        cache: What was computed once from the above, by name.
    """

    uv: Tensor
    weights: Tensor
    robust: Tensor
    xyz: Tensor
    info: Tensor
    truth: Tensor | None
    precision: Tensor
    keypoint: Tensor
    first: Tensor
    last: Tensor
    source: Tensor
    cache: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __len__(self) -> int:
        """Return the number of frames, each the centre of one window."""
        return int(self.uv.shape[0])

    @property
    def is_real(self) -> Tensor:
        """(N, K) False where the task has no such keypoint."""
        return self.keypoint >= 0

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

    @property
    def centre(self) -> int:
        """Index of the predicted frame."""
        return int(self.xyz.shape[1]) // 2


def take(windows: Windows, rows: slice) -> Windows:
    """Return some of the windows."""
    values: dict[str, Any] = {f.name: getattr(windows, f.name) for f in fields(windows)}
    taken: dict[str, Any] = {
        k: v[rows] if isinstance(v, Tensor) else None for k, v in values.items()
    }
    return Windows(**taken)


def mask_views(windows: Windows, keep: Tensor) -> Windows:
    """Set the weights of views to 0 where keep (B, V) is False.

    For models that read `uv` and `weights`: the triangulation of the frames still knows all views.
    """
    kept = keep[:, None, :, None]
    return replace(windows, weights=windows.weights * kept, robust=windows.robust * kept)


def gather_windows(
    tracks: Tracks, centres: Tensor, num_frames: int, used_frames: int | None = None
) -> Windows:
    """Cut windows by index: frames outside the example repeat its edge.

    Args:
        tracks: The data.
        centres: (B,) int64 numbers of the centre frames.
        num_frames: T, odd.
        used_frames: Odd; frames further from the centre count as not there (default: all are used).
    """
    pad = (num_frames - 1) // 2
    offsets = torch.arange(-pad, pad + 1, device=centres.device)
    wanted = centres[:, None] + offsets
    index = wanted.clamp(tracks.first[centres][:, None], tracks.last[centres][:, None])
    is_distinct = index == wanted
    if used_frames is not None:
        is_distinct = is_distinct & (offsets.abs() <= (used_frames - 1) // 2)
    return Windows(
        uv=tracks.uv[index],
        weights=tracks.weights[index],
        robust=tracks.robust[index],
        xyz=tracks.xyz[index],
        info=tracks.info[index],
        is_distinct=is_distinct,
        keypoint=tracks.keypoint[centres],
        truth=None if tracks.truth is None else tracks.truth[centres],
    )


def gather_for(
    model: nn.Module,
    tracks: Tracks,
    centres: Tensor,
    num_frames: int,
    used_frames: int | None = None,
) -> Windows:
    """Cut windows with all that a model asks for by its method `gather`, if any; else as `gather_windows`."""
    gather = getattr(model, "gather", gather_windows)
    windows: Windows = gather(tracks, centres, num_frames, used_frames)
    return windows


def gather_bins(
    tracks: Tracks,
    centres: Tensor,
    ranges: Sequence[tuple[int, int]],
    used_frames: int | None = None,
) -> Bins:
    """Average stretches of frames by their information: two look-ups in running sums for each.

    Args:
        tracks: The data.
        centres: (B,) numbers of the centre frames.
        ranges: (first, last) offsets of each stretch; what lies outside the example is left out.
        used_frames: Odd; frames further from the centre count as not there.
    """
    reach = (
        max(max(abs(a), abs(b)) for a, b in ranges)
        if used_frames is None
        else (used_frames - 1) // 2
    )
    cut = [(max(a, -reach), min(b, reach) + 1) for a, b in ranges]
    cut = [(a, b) if a < b else (0, 0) for a, b in cut]
    # A stretch that begins where the one before it ends shares the look-up.
    begins = [i for i, (a, _) in enumerate(cut) if i == 0 or a != cut[i - 1][1]]
    runs = [cut[i:j] for i, j in pairwise([*begins, len(cut)])]
    edges = torch.tensor(
        [x for run in runs for x in (run[0][0], *(b for _, b in run))], device=centres.device
    )
    at = (centres[:, None] + edges).clamp(
        tracks.first[centres][:, None], tracks.last[centres][:, None] + 1
    )
    B, R, K = len(centres), len(cut), tracks.xyz.shape[1]
    found, total = tracks.sums[at], tracks.sums.new_empty(B, K, R, 3, 4)
    frames, begin = at.new_empty(B, R), 0
    for number, run in enumerate(runs):
        inside, low = slice(begin, begin + len(run)), begin + number
        start, stop = slice(low, low + len(run)), slice(low + 1, low + len(run) + 1)
        total[:, :, inside] = (found[:, stop] - found[:, start]).transpose(1, 2)
        frames[:, inside] = at[:, stop] - at[:, start]
        begin += len(run)
    by_entry = total.movedim((-2, -1), (0, 1)).contiguous()
    is_empty = (by_entry[0, 1] + by_entry[1, 2] + by_entry[2, 3] < 1.0)[..., None]
    xyz = torch.stack(geometry.solve_information(by_entry)[0], -1)
    return Bins(
        xyz=xyz.float().masked_fill_(is_empty, 0.0),
        info=total[..., 1:].float().masked_fill_(is_empty[..., None], 0.0),
        frames=frames,
    )
