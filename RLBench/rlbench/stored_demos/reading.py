"""Demonstrations as RLBench stores them: a folder of images for each camera, and one pickle.

`<root>/<task>/variation<v>/episodes/episode<e>/{<camera>_<kind>/<frame>.png, low_dim_obs.pkl}`.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rlbench.backend import const
from rlbench.backend.episodes.global_random import fresh_seed
from rlbench.backend.exceptions import TaskEnvironmentError
from rlbench.backend.observation import CameraImages, Observation
from rlbench.backend.utils import image_to_float_array, rgb_handles_to_mask
from rlbench.demo import Demo
from rlbench.engines import cameras
from rlbench.observation_config import LOW_DIM, RLBENCH_CAMERAS, CameraConfig, ObservationConfig
from rlbench.stored_demos.stored_pickle import StoredObservation, plain, read_record

_EPISODE = re.compile(const.EPISODE_FOLDER.replace("%d", r"(\d{1,9})"))


def require_dataset_root(root: str | Path, task_name: str) -> None:
    """Check that a folder of stored demonstrations was given.

    Raises:
        TaskEnvironmentError: there is no folder of them.
    """
    if not str(root):
        raise TaskEnvironmentError(
            f"stored demonstrations of {task_name} are asked for, and Environment has no "
            f'dataset_root; give it, or make new ones: get_task("{task_name}").get_demos(amount, '
            "live_demos=True)"
        )


def get_stored_demos(
    amount: int,
    image_paths: bool,
    dataset_root: str | Path,
    variation_number: int,
    task_name: str,
    obs_config: ObservationConfig,
    random_selection: bool = True,
    from_episode_number: int = 0,
) -> list[Demo]:
    """Read demonstrations that RLBench has stored.

    Args:
        amount: how many; -1 for all.
        image_paths: leave images in their files: observations hold the paths instead.
        dataset_root: folder with a folder for each task.
        variation_number: of the task.
        task_name: snake_case.
        obs_config: which images and readings are wanted. Images of another size are resized,
            those of depth and handles to the nearest pixel.
        random_selection: draw them, others each time; the same ones after the same
            `numpy.random.seed`. Otherwise they come in the order of their numbers.
        from_episode_number: how many to leave out then.

    Raises:
        TaskEnvironmentError: there are not so many, or one is damaged.
    """
    folder = Path(dataset_root) / task_name
    episodes = folder / (const.VARIATIONS_FOLDER % variation_number) / const.EPISODES_FOLDER
    if not episodes.is_dir():
        raise TaskEnvironmentError(
            f"no stored demonstrations of {task_name}, variation {variation_number}: there is no "
            f"folder {episodes}"
        )
    numbers = sorted(int(m[1]) for p in episodes.iterdir() if (m := _EPISODE.fullmatch(p.name)))
    start = 0 if random_selection else from_episode_number
    wanted = len(numbers) - start if amount < 0 else amount
    if not 0 <= start <= start + wanted <= len(numbers):
        raise TaskEnvironmentError(
            f"{amount} demonstrations from number {start} on were asked for, {episodes} has "
            f"{len(numbers)}"
        )
    chosen = numbers[start : start + wanted]
    if random_selection:
        rng = np.random.default_rng(fresh_seed())
        chosen = rng.choice(numbers, wanted, replace=False).tolist()
    return [
        _Episode(episodes / (const.EPISODE_FOLDER % number), obs_config, image_paths).demo(
            task_name, variation_number
        )
        for number in chosen
    ]


class _Episode:
    """One stored demonstration."""

    def __init__(self, folder: Path, config: ObservationConfig, image_paths: bool) -> None:
        self._folder, self._config, self._image_paths = folder, config, image_paths

    def demo(self, task_name: str, variation: int) -> Demo:
        """Read it."""
        file = self._folder / const.LOW_DIM_PICKLE
        stored = read_record(file).attributes
        moments = stored.get("_observations", stored.get("observations"))
        if not isinstance(moments, list) or not all(
            isinstance(moment, StoredObservation) for moment in moments
        ):
            raise TaskEnvironmentError(f"{file} is no stored demonstration: it has no observations")
        try:
            seed, names = (plain(stored.get(key)) for key in ("random_seed", "keypoint_names"))
            placements, frames = (
                plain(stored.get(key)) for key in ("num_reset_attempts", "waypoint_frames")
            )
            readings = [_readings(moment) for moment in moments]
        except (TypeError, ValueError) as error:
            raise TaskEnvironmentError(f"{file} is no stored demonstration: {error}") from None
        observations = [self._observation(i, given) for i, given in enumerate(readings)]
        return Demo(observations, seed, placements, names or [], frames or [], task_name, variation)

    def _observation(self, frame: int, given: dict[str, Any]) -> Observation:
        for name in LOW_DIM:
            if not getattr(self._config, name):
                given[name] = None
        images = {}
        for camera in RLBENCH_CAMERAS:
            wanted = self._config.cameras.get(camera)
            images[camera] = CameraImages()
            if wanted is not None and wanted.is_wanted:
                images[camera] = self._images(camera, wanted, frame, given["misc"])
        return Observation(images=images, **given)

    def _images(
        self, camera: str, wanted: CameraConfig, frame: int, misc: dict[str, Any]
    ) -> CameraImages:
        out: Any = CameraImages()
        needs_depth = wanted.depth or wanted.point_cloud
        for kind, is_wanted in zip(
            const.IMAGE_KINDS, (wanted.rgb, needs_depth, wanted.mask), strict=True
        ):
            if not is_wanted:
                continue
            path = self._folder / const.image_folder(camera, kind) / (const.IMAGE_FORMAT % frame)
            if not path.is_file():
                raise TaskEnvironmentError(
                    f"{self._folder} is damaged: {path.relative_to(self._folder)} is missing"
                )
            if self._image_paths:
                setattr(out, kind, str(path))
            elif kind == "depth":
                self._depth(out, path, wanted, f"{camera}_camera", misc)
            else:
                pixels, _ = _pixels(path, wanted, is_smooth=kind == "rgb")
                is_one_channel = kind == "mask" and wanted.masks_as_one_channel
                given: npt.ArrayLike = pixels
                if kind == "mask":
                    given = rgb_handles_to_mask(pixels) if is_one_channel else pixels / 255.0
                setattr(out, kind, given)
        return out  # type: ignore[no-any-return]

    def _depth(
        self, out: Any, path: Path, wanted: CameraConfig, name: str, misc: dict[str, Any]
    ) -> None:
        pixels, scale = _pixels(path, wanted, is_smooth=False)
        share = image_to_float_array(pixels, const.DEPTH_SCALE)
        try:
            near, far = float(misc[f"{name}_near"]), float(misc[f"{name}_far"])
            metres = near + share * (far - near)
            if wanted.depth:
                given = metres if wanted.depth_in_meters else share
                out.depth = wanted.depth_noise.apply(given.astype(np.float32))
            if wanted.point_cloud:
                K = cameras.pyrep_intrinsics(np.reshape(misc[f"{name}_intrinsics"], (3, 3)))
                pose = np.reshape(misc[f"{name}_extrinsics"], (4, 4))
                T_world_cam = cameras.pyrep_extrinsics(pose)
                out.point_cloud = cameras.unproject_depth(
                    metres, np.diag([*scale, 1.0]) @ K, cameras.extrinsics(T_world_cam)
                ).astype(np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise TaskEnvironmentError(
                f"{self._folder / const.LOW_DIM_PICKLE}: the calibration {name}_* is missing or "
                f"damaged: {error}"
            ) from None


def _pixels(
    path: Path, wanted: CameraConfig, is_smooth: bool
) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """Return (H, W, 3) of a file in the size that is wanted, and the scale of x and y that took."""
    size = (int(wanted.image_size[0]), int(wanted.image_size[1]))
    try:
        with Image.open(path) as file:
            before = file.size
            image = file.convert("RGB")
        if before != size:
            how = Image.Resampling.BICUBIC if is_smooth else Image.Resampling.NEAREST
            image = image.resize(size, how)
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TaskEnvironmentError(f"{path} is no image: {error}") from None
    return pixels, (size[0] / before[0], size[1] / before[1])


def _readings(moment: StoredObservation) -> dict[str, Any]:
    """Return the arguments of an observation but its images.

    Raises:
        ValueError: one is of another kind.
    """
    stored = moment.attributes
    out: dict[str, Any] = {name: plain(stored.get(name)) for name in (*LOW_DIM, "misc")}
    for name in LOW_DIM:
        if out[name] is None:
            continue
        value = np.asarray(out[name], np.float64)
        if not np.isfinite(value).all() or (value.ndim == 0) != (name == "gripper_open"):
            raise ValueError(f"{name} of an observation is damaged")
        out[name] = float(value) if name == "gripper_open" else value
    if not isinstance(out["misc"], dict):
        raise ValueError("misc of an observation is no dictionary")
    for name in ("keypoints", "keypoint_visibility", "keypoint_hiders", "obj_annotations"):
        if stored.get(name) is not None:
            out[name] = plain(stored[name])
    return out
