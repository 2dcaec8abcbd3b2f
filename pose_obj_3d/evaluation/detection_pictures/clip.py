"""One demonstration as it is drawn: its detections, the truth, and lifted points in each camera."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.frame_files import frame_file
from pose_obj_3d.evaluation.detections import CHI2_2D, GROSS_PX, Seen
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.types import Tracks

MARGIN_PX, MIN_SIDE_PX = 24.0, 96.0  # of the part of a picture that is drawn
CLAIMED, OF_NOISE = "claimed 68 %", "68 % of the noise"
BLANK = 235  # grey of a frame without a picture

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """T frames of one demonstration in V cameras; K keypoints.

    Attributes:
        data: The archive, for pictures and names.
        task: Task id.
        example: Number of the demonstration.
        names: K keypoint names.
        cameras: V names.
        uv: (T, V, K, 2) detections [px], NaN where there are none.
        ellipses: (T, V, K, 3) of 68 %: half axes [px] and the angle of the first one [rad]; NaN
            where nothing is claimed.
        region: What these are: `CLAIMED` by a detector, or `OF_NOISE`, by the noise of the archive.
        exact: (T, V, K, 2) projected truth [px].
        lifted: (T, V, K, 2) projected lifted points [px].
        visibility: (T, V, K), by the truth.
        is_usable: (T, V, K): the methods use it.
    """

    data: FormalData
    task: int
    example: int
    names: list[str]
    cameras: list[str]
    uv: Float
    ellipses: Float
    region: str
    exact: Float
    lifted: Float
    visibility: Float
    is_usable: Bool

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.uv)

    @property
    def is_gross(self) -> Bool:
        """(T, V, K): used, in the image by the truth, and far from it."""
        distance = np.linalg.norm(self.uv - self.exact, axis=-1)
        return np.asarray(self.is_usable & (self.visibility > 0) & (distance > GROSS_PX))

    def picture(self, camera: str, frame: int) -> Picture | None:
        """Read a frame's picture (H, W, 3), RGB; None where there is none.

        Raises:
            DataError: It has another size than the archive says.
        """
        path = frame_file(self.data.path, self.data.meta, (self.task, self.example, camera, frame))
        if path is None or not path.is_file():
            return None
        found = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if found is None:
            raise DataError(f"{path}: not a picture; generate the demonstration again")
        return _of_size(path, cv2.cvtColor(found, cv2.COLOR_BGR2RGB), self.data.image_size)

    def limits(self, view: int, frames: Sequence[int]) -> tuple[float, float, float]:
        """Return left, top, side [px] of the square around what is in a view's images."""
        width, height = self.data.image_size
        whole = float(max(width, height))
        points = self.exact[list(frames), view][self.visibility[list(frames), view] > 0]
        if len(points) == 0:
            return 0.0, 0.0, whole
        low, high = points.min(0), points.max(0)
        side = min(max(1.3 * float((high - low).max()) + MARGIN_PX, MIN_SIDE_PX), whole)
        left, top = (low + high - side) / 2
        return (
            float(np.clip(left, 0, max(width - side, 0))),
            float(np.clip(top, 0, max(height - side, 0))),
            side,
        )

    def blank(self) -> Picture:
        """Return what stands in for a missing picture."""
        width, height = self.data.image_size
        return np.full((height, width, 3), BLANK, np.uint8)


def _of_size(path: Path, picture: npt.NDArray[np.generic], size: tuple[int, int]) -> Picture:
    height, width = picture.shape[:2]
    if (width, height) != size:
        raise DataError(
            f"{path} has {width} x {height} px, but the archive is of images of {size[0]} x"
            f" {size[1]} px; convert the pictures' own data set again"
        )
    return np.asarray(picture, np.uint8)


def make_clip(
    data: FormalData,
    ids: list[str],
    tracks: Tracks,
    rig: Rig,
    seen: Seen,
    lifted: Tensor,
    rows: Tensor,
) -> Clip:
    """Collect what is drawn of one demonstration.

    Args:
        data: With the chosen detections.
        ids: Keypoint names.
        tracks: Of some demonstrations, with truth.
        rig: The cameras.
        seen: What the truth says of visibility.
        lifted: (N, K, 3) [m].
        rows: (T,) frames of the demonstration.
    """
    assert tracks.truth is not None
    task, example, _ = tracks.source[int(rows[0])].tolist()
    kept = tracks.is_real[rows[0]].nonzero().squeeze(-1)
    at = rows[:, None], kept

    def projected(xyz: Tensor) -> Float:
        uv, _ = multi_view.project(xyz[at].double(), rig.intrinsics, rig.extrinsics)
        return np.asarray(uv.transpose(1, 2).numpy())

    def of_views(x: Tensor) -> Float:
        return np.asarray(x[rows][:, :, kept].double().numpy())

    weights = of_views(tracks.weights)
    uv = of_views(tracks.uv)
    uv[(weights == 0) & (uv == 0).all(-1)] = np.nan  # stands for a missing detection
    return Clip(
        data,
        task,
        example,
        [ids[i].split("/", 1)[1] for i in tracks.keypoint[rows[0], kept].tolist()],
        [data.camera_names[v] for v in rig.view_ids],
        uv,
        ellipses(_covariances(tracks, rig, rows)[:, :, kept].numpy(), 68),
        OF_NOISE if tracks.claims is None else CLAIMED,
        projected(tracks.truth),
        projected(lifted),
        of_views(seen.visibility),
        weights > 0,
    )


def _covariances(tracks: Tracks, rig: Rig, rows: Tensor) -> Tensor:
    """Return the claims (T, V, K, 2, 2) [px^2]; without a detector's, those of the noise."""
    if tracks.claims is not None:
        return tracks.claims[rows].double()
    eye = torch.eye(2, dtype=torch.float64)
    variance = rig.sigma_px**2 / tracks.weights[rows].double().clamp_min(1e-12)
    return variance[..., None, None] * eye


def ellipses(covariance: Float, percent: int) -> Float:
    """Return the half axes [px] and the first one's angle [rad] of regions: (*, 2, 2) -> (*, 3)."""
    finite: Bool = np.asarray(np.isfinite(covariance).all((-2, -1)))
    values, vectors = np.linalg.eigh(np.where(finite[..., None, None], covariance, np.eye(2)))
    axes = np.sqrt(CHI2_2D[percent] * np.maximum(values, 0))
    angle = np.arctan2(vectors[..., 1, 0], vectors[..., 0, 0])
    found = np.concatenate([axes, angle[..., None]], -1)
    return np.where(finite[..., None], found, np.nan)
