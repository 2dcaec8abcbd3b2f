"""A film: what four cameras see while the robot acts, with the waypoints that it goes by."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from data_generation.RLBench.errors import StoreError
from data_generation.RLBench.executing.jobs import Job, Outcome
from data_generation.RLBench.executing.scene import Executor
from data_generation.RLBench.executing.settings import FILM_SUFFIXES
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.common.facts import FRAME_AXIS_M
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.lifting.showing.video_file import video_file
from rlbench.cameras import CAMERAS, extrinsics, intrinsics, project_views
from rlbench.const import DEMO_DT
from rlbench.task_environment import TaskEnvironment

PANEL = 200  # [px] side of a camera's panel
CAPTION = 20  # [px] height of the line below
AXES = ((230, 60, 50), (40, 170, 60), (60, 110, 240))  # x, y, z, as viewers have them
NEXT, OTHER = (255, 215, 0), (255, 255, 255)
_GIF_EVERY, _GIF_COLOURS, _LAST_S = 2, 96, 1.5
_SWATCH = 30  # [px] height of a colour's swatch
_SCALE = 2  # pictures are drawn so many times as large, then made smaller
Picture = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float64]


class Film:
    """Pictures of cameras that stand still, one for each step.

    Attributes:
        pictures: (H, W, 3) uint8 each.
    """

    def __init__(self, cameras: Sequence[str], caption: str) -> None:
        """Film with cameras of the table, two in a row."""
        self.pictures: list[Picture] = []
        self._cameras, self._caption = cameras, caption
        size = (PANEL * _SCALE, PANEL * _SCALE)
        specs = [CAMERAS[name] for name in cameras]
        self._K = np.stack([intrinsics(spec.fov_deg, *size) for spec in specs])
        self._E = np.stack([extrinsics(spec.T_world_cam()) for spec in specs])

    def add(self, task: TaskEnvironment, poses: Mapping[str, Float], target: str) -> None:
        """Take a picture.

        Args:
            task: What is filmed.
            poses: (4, 4) waypoints to draw, tip to world.
            target: The waypoint that the robot goes to.
        """
        panels = []
        for v, camera in enumerate(self._cameras):
            picture = task.render(camera, (PANEL * _SCALE, PANEL * _SCALE)).copy()
            for name, T in poses.items():
                self._draw(picture, v, T, NEXT if name == target else OTHER)
            panels.append(cv2.resize(picture, (PANEL, PANEL), interpolation=cv2.INTER_AREA))
        panels += [np.zeros_like(panels[0])] * (len(panels) % 2)
        rows = [np.hstack(panels[i : i + 2]) for i in range(0, len(panels), 2)]
        line = np.full((CAPTION, rows[0].shape[1], 3), 20, np.uint8)
        text = f"{self._caption}: {target}"
        cv2.putText(line, text, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, OTHER, 1, cv2.LINE_AA)
        self.pictures.append(np.vstack([*rows, line]).astype(np.uint8))

    def _draw(self, picture: Picture, view: int, T: Float, colour: tuple[int, int, int]) -> None:
        points = T[:3, 3] + FRAME_AXIS_M * np.vstack([np.zeros(3), T[:3, :3].T])
        uv, depth = project_views(points[None], self._K[[view]], self._E[[view]])
        if (depth <= 0).any():
            return
        limit = 4.0 * PANEL * _SCALE  # OpenCV fails on what is much farther
        origin, *ends = (
            tuple(int(x) for x in np.clip(np.rint(point), -limit, limit)) for point in uv[0, 0]
        )
        for end, axis in zip(ends, AXES, strict=True):
            cv2.line(picture, origin, end, axis, 2 * _SCALE, cv2.LINE_AA)
        cv2.circle(picture, origin, 4 * _SCALE, colour, -1, cv2.LINE_AA)
        cv2.circle(picture, origin, 4 * _SCALE, (0, 0, 0), 1, cv2.LINE_AA)

    def write(self, path: Path) -> None:
        """Write a GIF or MP4 file.

        Raises:
            StoreError: It cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._gif(path) if path.suffix == FILM_SUFFIXES[0] else self._mp4(path)
        except (OSError, PoseObj3DError) as error:
            raise StoreError(f"{path}: the film cannot be written: {error}") from None

    def _mp4(self, path: Path) -> None:
        height, width = self.pictures[0].shape[:2]
        with video_file(path, 1 / DEMO_DT, (width, height)) as add:
            for picture in self.pictures:
                add(picture)

    def _gif(self, path: Path) -> None:
        kept = self.pictures[::-_GIF_EVERY][::-1]  # the last one always
        # Few pixels have the colours of the axes; swatches keep them in the palette.
        swatch = np.array([*AXES, NEXT, OTHER], np.uint8).repeat(_SWATCH, 0)[:, None]
        swatches = swatch.repeat(kept[0].shape[1], 1)
        sample = np.vstack([*kept[:: max(len(kept) // 4, 1)], swatches])
        palette = Image.fromarray(sample).quantize(_GIF_COLOURS)
        frames = [
            Image.fromarray(p).quantize(palette=palette, dither=Image.Dither.NONE) for p in kept
        ]
        period = int(1000 * DEMO_DT * _GIF_EVERY)
        times = [period] * (len(frames) - 1) + [int(1000 * _LAST_S)]
        with writing(path) as file:
            frames[0].save(
                file,
                format="GIF",
                save_all=True,
                append_images=frames[1:],
                duration=times,
                loop=0,
                optimize=True,
            )


def film(executor: Executor, job: Job, path: Path) -> Outcome:
    """Execute a scene in its only condition, and film it.

    Raises:
        DataGenerationError: It cannot be executed, or the film cannot be written.
    """
    condition = job.conditions[0]
    made = Film(executor.settings.config.track_cams, f"{condition.method}, {condition.noise}")
    outcome = executor.show(job, made.add)
    if made.pictures:
        made.write(path)
    return outcome
