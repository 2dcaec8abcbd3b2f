"""The faults that a file of tracks may have, each with a way to undo it.

A hypothesis is a change of the points or of the cameras, in words and in numbers. `causes` decides
which of them explains the data.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.geometry import lenses
from pose_obj_3d.geometry.rig import Rig

_TURN_YZ = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
_TURN_XY = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
_SAME_SIZE = (0.83, 1.2)  # principal points are near the middle, not in it
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Views:
    """Points as they were detected, and cameras as the user gave them.

    Attributes:
        raw: (F, V, K, 2) [px], with distortion, float64; anything finite where missing.
        w: (F, V, K), 0 = missing.
        rig: The V cameras.
        size: (V, 2) of the images, roughly [px].
        distortion: (V, 14).
        lenses: V kinds of lens.
    """

    raw: Tensor
    w: Tensor
    rig: Rig
    size: Tensor
    distortion: Floats
    lenses: tuple[str, ...]

    def points(self) -> tuple[Tensor, Tensor]:
        """Return points without distortion (F, V, K, 2), and weights; 0 = no inverse exists."""
        if not self.distortion.any() and lenses.FISHEYE not in self.lenses:
            return self.raw, self.w
        ideal, w = self.raw.clone(), self.w.clone()
        for v in range(len(self.lenses)):
            ideal[:, v], lost = self.seen_by(v, self.raw[:, v])
            w[:, v] *= (~lost).double()
        return ideal, w

    def seen_by(self, view: int, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Take a camera's distortion out of points (*, 2) [px].

        Returns:
            The points, 0 where the lens has no inverse, and where that is (*).
        """
        if not self.distortion[view].any() and self.lenses[view] != lenses.FISHEYE:
            return raw, torch.zeros(raw.shape[:-1], dtype=torch.bool)
        flat = raw.reshape(-1, 2).cpu().numpy()
        K = self.rig.intrinsics[view].double().cpu().numpy()
        with np.errstate(all="ignore"):
            ideal = lenses.inverted(flat, K, self.distortion[view], self.lenses[view])
            off = np.abs(
                lenses.distort(np.nan_to_num(ideal), K, self.distortion[view], self.lenses[view])
                - flat
            ).max(-1)
        lost = ~((off < 1.0) & np.isfinite(ideal).all(-1))
        shape = raw.shape[:-1]
        return torch.from_numpy(np.where(lost[:, None], 0.0, ideal)).reshape(
            *shape, 2
        ), torch.from_numpy(lost).reshape(shape)

    def with_extrinsics(self, extrinsics: Tensor) -> "Views":
        """Return the same with other extrinsics (V, 3, 4)."""
        return replace(
            self, rig=Rig(self.rig.intrinsics, extrinsics, self.rig.sigma_px, self.rig.view_ids)
        )

    def with_raw(self, views: Sequence[int], change: Callable[[Tensor, Tensor], Tensor]) -> "Views":
        """Return the same with changed points in some views.

        Args:
            views: Their numbers.
            change: Gets points (F, K, 2) and image size (2,), and returns points.
        """
        raw = self.raw.clone()
        for v in views:
            raw[:, v] = change(self.raw[:, v], self.size[v])
        return replace(self, raw=raw)


@dataclass(frozen=True)
class Hypothesis:
    """A fault that is undone.

    Attributes:
        words: How it is undone, for a sentence "the views agree with ...".
        advice: What it means for the user.
        views: The data without the fault.
        mirrors: Whether undoing it, where nothing was wrong, would mirror the world.
        is_convention: Whether the corrected extrinsics are the user's in another convention.
        scale: What it multiplies points by: disagreements shrink with them. 1 where it is no fit,
            but one of a few fixed changes.
    """

    words: str
    advice: str
    views: Views
    mirrors: bool = False
    is_convention: bool = False
    scale: float = 1.0


def inverted(extrinsics: Tensor) -> Tensor:
    """Return camera to world of world to camera (V, 3, 4), and the other way round."""
    R = extrinsics[:, :, :3].transpose(1, 2)
    return torch.cat([R, -R @ extrinsics[:, :, 3:]], -1)


def conventions(views: Views) -> Iterator[Hypothesis]:
    """Undo other conventions of extrinsics."""
    there = views.rig.extrinsics.double()
    back = inverted(there)
    R, t = there[:, :, :3], there[:, :, 3:]
    yz, xy = _TURN_YZ.to(there.device), _TURN_XY.to(there.device)
    needed = "needed is world to camera"
    for words, advice, E in (
        ("inverted extrinsics", f"they seem to be camera to world; {needed}", back),
        (
            "cameras' y and z axes turned",
            "they seem to be those of OpenGL; needed are OpenCV's, y down, z forward",
            yz @ there,
        ),
        (
            "inverted extrinsics and y and z axes turned",
            "they seem to be camera to world with the axes of OpenGL or Blender; "
            f"{needed} in OpenCV's axes",
            yz @ back,
        ),
        (
            "cameras' x and y axes turned",
            "they seem to be those of PyTorch3D, x left, y up; needed are OpenCV's",
            xy @ there,
        ),
        (
            "inverted extrinsics and x and y axes turned",
            f"they seem to be camera to world with x left, y up; {needed} in OpenCV's axes",
            xy @ back,
        ),
        (
            "rotations transposed, translations kept",
            f"rotations seem to be camera to world; {needed}",
            torch.cat([R.transpose(1, 2), t], -1),
        ),
        (
            "translations taken for the cameras' places",
            "needed is t = -R C",
            torch.cat([R, -R @ t], -1),
        ),
    ):
        yield Hypothesis(words, advice, views.with_extrinsics(E), is_convention=True)


_IMAGE_CHANGES: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor], bool]] = {
    "x mirrored (W - x)": (
        "the images seem to be mirrored, or the extrinsics left-handed",
        lambda p, s: torch.stack([s[0] - p[..., 0], p[..., 1]], -1),
        True,
    ),
    "y mirrored (H - y)": (
        "y seems to run upwards, or the extrinsics are left-handed",
        lambda p, s: torch.stack([p[..., 0], s[1] - p[..., 1]], -1),
        True,
    ),
    "x and y exchanged": ("points are x, y, not row, column", lambda p, _: p.flip(-1), True),
    "images turned by 180 degrees": (
        "or their cameras' x and y axes are turned",
        lambda p, s: s - p,
        False,
    ),
    "images turned by 90 degrees": (
        "points and calibration seem to be of differently turned images",
        lambda p, s: torch.stack([p[..., 1], s[1] - p[..., 0]], -1),
        False,
    ),
    "images turned by -90 degrees": (
        "points and calibration seem to be of differently turned images",
        lambda p, s: torch.stack([s[0] - p[..., 1], p[..., 0]], -1),
        False,
    ),
}


def image_changes(views: Views, names: Sequence[str]) -> Iterator[Hypothesis]:
    """Undo mirrored and turned images and exchanged coordinates: in all cameras, and in one."""
    everyone = range(len(names))
    for chosen, where in [
        (list(everyone), "all cameras"),
        *(([v], f"camera {names[v]}") for v in everyone),
    ]:
        for words, (advice, change, mirrors) in _IMAGE_CHANGES.items():
            changed = views.with_raw(chosen, change)
            yield Hypothesis(f"{words} in {where}", advice, changed, mirrors and len(chosen) > 1)


def scaled(views: Views, chosen: Sequence[int], factor: float) -> Views:
    """Return the same with the points of some views multiplied."""
    return views.with_raw(chosen, lambda p, _: p * factor)


def scale_hypothesis(
    views: Views, names: Sequence[str], chosen: Sequence[int], factor: float
) -> Hypothesis:
    """Undo an image size that is not that of the calibration."""
    where = "all cameras" if len(chosen) > 1 else f"camera {names[chosen[0]]}"
    advice = "the points seem to be of another image size than the intrinsics"
    return Hypothesis(
        f"the points of {where} times {factor:.3g}",
        advice,
        scaled(views, chosen, factor),
        scale=factor,
    )


def stated_sizes(views: Views) -> Iterator[Hypothesis]:
    """Undo image sizes that differ from the calibration's, by the sizes that the file states."""
    ratio = 2 * views.rig.intrinsics[:, :2, 2].double().to(views.size) / views.size
    factor = ratio.log().mean(-1).exp()
    if bool(((factor > _SAME_SIZE[0]) & (factor < _SAME_SIZE[1])).all()):
        return
    yield Hypothesis(
        "each camera's points scaled from image_size to twice its principal point",
        "points and intrinsics seem to be of different image sizes",
        replace(views, raw=views.raw * factor[:, None, None]),
        scale=float(factor.min()),
    )


def other_lenses(views: Views) -> Iterator[Hypothesis]:
    """Undo coefficients of another model, and distortion that was taken out before."""
    V = len(views.lenses)
    if not views.distortion.any():
        return
    yield Hypothesis(
        "no distortion at all",
        "the points seem to be undistorted already; leave the key distortion out",
        replace(views, distortion=np.zeros_like(views.distortion), lenses=(lenses.PINHOLE,) * V),
    )
    if not views.distortion[:, lenses.FISHEYE_COUNT :].any():
        now = lenses.FISHEYE if lenses.FISHEYE in views.lenses else lenses.PINHOLE
        other = lenses.PINHOLE if now == lenses.FISHEYE else lenses.FISHEYE
        yield Hypothesis(
            f"the distortion taken for that of a {other} lens",
            f"the coefficients seem to be {other}'s, add lens='{other}'",
            replace(views, lenses=(other,) * V),
        )


def reordered(views: Views, order: Sequence[int], extrinsics_only: bool = False) -> Views:
    """Give camera i the tracks of view order[i], or the extrinsics of view order[i] alone."""
    chosen = list(order)
    if extrinsics_only:
        return views.with_extrinsics(views.rig.extrinsics[chosen])
    return replace(views, raw=views.raw[:, chosen], w=views.w[:, chosen])


def order_hypothesis(
    views: Views, names: Sequence[str], order: Sequence[int], extrinsics_only: bool = False
) -> Hypothesis:
    """Undo another order of cameras."""
    moved = [v for v, other in enumerate(order) if v != other]
    what = "extrinsics" if extrinsics_only else "tracks"
    if len(moved) == 2:
        words = f"the {what} of {names[moved[0]]} and {names[moved[1]]} exchanged"
    else:
        words = f"the {what} in the order {', '.join(str(names[v]) for v in order)}"
    return Hypothesis(
        words,
        "these cameras seem to be swapped",
        reordered(views, order, extrinsics_only),
        mirrors=False,
    )


def pair_orders(V: int) -> Iterator[list[int]]:
    """Return all orders in which two views are exchanged."""
    for a, b in combinations(range(V), 2):
        order = list(range(V))
        order[a], order[b] = b, a
        yield order


def relabelled(views: Views, view: int, order: Sequence[int]) -> Views:
    """Give keypoint k of a view the points of keypoint order[k]."""
    raw, w = views.raw.clone(), views.w.clone()
    raw[:, view], w[:, view] = views.raw[:, view][:, list(order)], views.w[:, view][:, list(order)]
    return replace(views, raw=raw, w=w)
