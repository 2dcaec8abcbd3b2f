"""Images of a stored demonstration: files, read when they are first looked at."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rlbench.backend import const
from rlbench.backend.exceptions import TaskEnvironmentError
from rlbench.backend.observation import CameraImages
from rlbench.backend.utils import image_to_float_array, rgb_handles_to_mask
from rlbench.engines import cameras
from rlbench.noise_model import Identity
from rlbench.observation_config import IMAGES, CameraConfig


class StoredImages(CameraImages):
    """Images of one camera at one moment. Each is read at its first use, and kept then.

    A program that looks at few moments of many demonstrations so reads few files. Pickled, or
    copied, it holds images and no files.

    Raises:
        TaskEnvironmentError: when an image is first used: its file is no image.
    """

    def __init__(self, unread: dict[str, Callable[[], Any]]) -> None:
        """Take what makes each image of `IMAGES`; those that are not named are None."""
        super().__init__()
        self._unread = unread

    def __getattribute__(self, name: str) -> Any:
        """Read an image that is asked for the first time."""
        if name in IMAGES:
            unread = object.__getattribute__(self, "__dict__").get("_unread", {})
            if name in unread:
                setattr(self, name, unread[name]())
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an image; its file is not read any more."""
        self.__dict__.get("_unread", {}).pop(name, None)
        object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy images, read now."""
        return CameraImages, (self.rgb, self.depth, self.mask, self.point_cloud)


class CameraFiles:
    """The files of one camera in the folder of an episode.

    Attributes:
        camera: its name.
    """

    def __init__(self, folder: Path, camera: str, wanted: CameraConfig, as_paths: bool) -> None:
        """Take the folder of the episode, and which images are wanted, or their paths."""
        self.camera = camera
        self._folder, self._as_paths = folder, as_paths
        self._wanted = copy.copy(wanted)  # as it is now; files are read later

    def images(self, frame: int, misc: dict[str, Any]) -> CameraImages:
        """Return the images of a moment.

        Args:
            frame: number of the moment.
            misc: of its observation, which has the calibration.

        Raises:
            TaskEnvironmentError: one is missing, or the calibration is.
        """
        wanted = self._wanted
        files = {
            kind: self._file(kind, frame)
            for kind, is_wanted in zip(
                const.IMAGE_KINDS,
                (wanted.rgb, wanted.depth or wanted.point_cloud, wanted.mask),
                strict=True,
            )
            if is_wanted
        }
        if self._as_paths:
            out: Any = CameraImages()
            for kind, file in files.items():
                setattr(out, kind, str(file))
            return out  # type: ignore[no-any-return]
        unread: dict[str, Callable[[], Any]] = {}
        if "rgb" in files:
            unread["rgb"] = partial(self._rgb, files["rgb"])
        if "mask" in files:
            unread["mask"] = partial(self._mask, files["mask"])
        if "depth" in files:
            calibration = self._calibration(misc)
            if wanted.depth:
                unread["depth"] = partial(self._depth, files["depth"], calibration)
            if wanted.point_cloud:
                unread["point_cloud"] = partial(self._points, files["depth"], calibration)
        made = StoredImages(unread)
        if not isinstance(wanted.depth_noise, Identity):
            _ = made.depth  # now: noise is drawn in the order of the moments
        return made

    def _file(self, kind: str, frame: int) -> Path:
        path = self._folder / const.image_folder(self.camera, kind) / (const.IMAGE_FORMAT % frame)
        if not path.is_file():
            raise TaskEnvironmentError(
                f"{self._folder} is damaged: {path.relative_to(self._folder)} is missing"
            )
        return path

    def _calibration(self, misc: dict[str, Any]) -> "_Calibration":
        name = f"{self.camera}_camera"
        try:
            near, far = float(misc[f"{name}_near"]), float(misc[f"{name}_far"])
            K = np.reshape(np.asarray(misc[f"{name}_intrinsics"], np.float64), (3, 3))
            pose = np.reshape(np.asarray(misc[f"{name}_extrinsics"], np.float64), (4, 4))
        except (KeyError, TypeError, ValueError) as error:
            raise TaskEnvironmentError(
                f"{self._folder / const.LOW_DIM_PICKLE}: the calibration {name}_* is missing or "
                f"damaged: {error}"
            ) from None
        return near, far, K, pose

    def _rgb(self, file: Path) -> npt.NDArray[np.uint8]:
        return _pixels(file, self._wanted, is_smooth=True)[0]

    def _mask(self, file: Path) -> npt.NDArray[Any]:
        pixels, _ = _pixels(file, self._wanted, is_smooth=False)
        if self._wanted.masks_as_one_channel:
            return rgb_handles_to_mask(pixels)
        shares: npt.NDArray[np.float64] = pixels / 255.0
        return shares

    def _depth(self, file: Path, calibration: "_Calibration") -> npt.NDArray[np.float32]:
        near, far, _, _ = calibration
        share = image_to_float_array(
            _pixels(file, self._wanted, is_smooth=False)[0], const.DEPTH_SCALE
        )
        given = near + share * (far - near) if self._wanted.depth_in_meters else share
        noisy: npt.NDArray[np.float32] = self._wanted.depth_noise.apply(given.astype(np.float32))
        return noisy

    def _points(self, file: Path, calibration: "_Calibration") -> npt.NDArray[np.float32]:
        near, far, stored_K, pose = calibration
        pixels, scale = _pixels(file, self._wanted, is_smooth=False)
        metres = near + image_to_float_array(pixels, const.DEPTH_SCALE) * (far - near)
        K = np.diag([*scale, 1.0]) @ cameras.pyrep_intrinsics(stored_K)
        T_world_cam = cameras.pyrep_extrinsics(pose)
        return cameras.unproject_depth(metres, K, cameras.extrinsics(T_world_cam)).astype(
            np.float32
        )


_Calibration = tuple[float, float, npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Near and far plane [m], intrinsics (3, 3) and pose (4, 4) in RLBench's axes."""


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
