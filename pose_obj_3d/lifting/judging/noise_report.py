"""How the detections err, as the report shows it."""

from dataclasses import dataclass

from torch import Tensor

from pose_obj_3d.lifting.scene_scale import significant
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.tracks_from_file import OwnData
from pose_obj_3d.tracks.noise_text import describe


@dataclass(frozen=True)
class NoiseReport:
    """How the detections err, found from how far the views disagree.

    Attributes:
        sigma_px: Keypoint -> standard deviation of a coordinate of a sound detection in each
            camera [px].
        gross_percent: Keypoint -> share of gross errors in each camera [%].
        gross_px: Median length of a gross error [px].
        white_percent: Share of the square error that is independent in each frame [%].
        slow_percent: Share that lasts for some frames [%].
        constant_percent: Share that is constant in a sequence [%].
        slow_frames: How long the slow part lasts [frames]; 0 where there is none.
    """

    sigma_px: dict[str, list[float]]
    gross_percent: dict[str, list[float]]
    gross_px: float
    white_percent: float
    slow_percent: float
    constant_percent: float
    slow_frames: float


def noise_lines(file: TrackFile, data: OwnData) -> list[str]:
    """Say in a line how the detections err."""
    if data.noise is None:
        return []
    return [describe(data.noise, file.camera_names, weighed_by_claims=1.0)]


def noise_report(file: TrackFile, data: OwnData) -> NoiseReport | None:
    """Return how the detections err by view and keypoint, and how long errors last."""
    parts = data.noise
    if parts is None:
        return None
    columns = data.tracks.keypoint.amax(0).tolist()
    named = [(i, name) for i, name in zip(columns, file.keypoint_names, strict=True) if i >= 0]

    def table(values: Tensor) -> dict[str, list[float]]:
        return {name: [significant(float(x)) for x in values[:, i]] for i, name in named}

    white, slow, offset = (significant(100 * share) for share in parts.shares)
    return NoiseReport(
        table(parts.sigma),
        table(100 * parts.gross_rate),
        significant(parts.gross_scale),
        white,
        slow,
        offset,
        significant(parts.time_constant),
    )
