"""What `--refine` has changed, and why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CameraChange:
    """How one camera has changed, with standard deviations.

    Attributes:
        name: Its name.
        turned_deg: Angle by which it was turned [degrees].
        turned_sd_deg: Standard deviation of its orientation [degrees].
        moved_mm: Distance by which it was moved [mm].
        moved_sd_mm: Standard deviation of its position [mm].
        focal: Change of its focal length [%].
        focal_sd: Standard deviation of its focal length [%]; 0 where it was not changed.
    """

    name: str
    turned_deg: float
    turned_sd_deg: float
    moved_mm: float
    moved_sd_mm: float
    focal: float
    focal_sd: float


@dataclass(frozen=True)
class Step:
    """One thing that was tried.

    Attributes:
        what: What was adjusted.
        before_px: How well left-out detections were predicted [px], gross errors capped.
        after_px: How well they are predicted with it, from other frames and keypoints.
        gain: The gain in standard errors.
        is_better: Whether it was kept.
        line: The same in words.
    """

    what: str
    before_px: float
    after_px: float
    gain: float
    is_better: bool
    line: str


@dataclass(frozen=True)
class Refinement:
    """What has changed.

    Attributes:
        accepted: What was adjusted: `none`, `extrinsics`, or `extrinsics and focal lengths`.
        steps: What was tried.
        cameras: How each camera has changed; empty where none has.
        reason: Why nothing has changed; "" otherwise.
    """

    accepted: str
    steps: list[Step]
    cameras: list[CameraChange]
    reason: str

    @property
    def lines(self) -> list[str]:
        """Say it in words, one line each."""
        found = [f"--refine: {step.line}" for step in self.steps]
        if not self.cameras:
            return [*found, f"--refine: {self.reason}; the cameras stay as they are"]
        return [*found, f"--refine: the cameras of the result are adjusted ({self.accepted})"]

    @property
    def rows(self) -> list[list[str]]:
        """Give header and one row for each camera; none where nothing has changed."""
        if not self.cameras:
            return []
        head = ["camera adjusted", "turned [deg]", "sd", "moved [mm]", "sd", "focal [%]", "sd"]
        return [
            head,
            *(
                [
                    c.name,
                    *(f"{x:.3f}" for x in (c.turned_deg, c.turned_sd_deg)),
                    *(f"{x:.2f}" for x in (c.moved_mm, c.moved_sd_mm)),
                    *(f"{c.focal:+.2f}", f"{c.focal_sd:.2f}"),
                ]
                for c in self.cameras
            ),
        ]
