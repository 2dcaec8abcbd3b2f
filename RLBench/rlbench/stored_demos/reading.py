"""Demonstrations as RLBench stores them: a folder of images for each camera, and one pickle.

`<root>/<task>/variation<v>/episodes/episode<e>/{<camera>_<kind>/<frame>.png, low_dim_obs.pkl}`.

PerAct's fork stores `<root>/<task>/all_variations/episodes/episode<e>/`, where each episode has its
`variation_number.pkl` and `variation_descriptions.pkl`.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from rlbench.backend import const
from rlbench.backend.episodes.global_random import fresh_seed
from rlbench.backend.exceptions import TaskEnvironmentError
from rlbench.backend.observation import CameraImages, Observation
from rlbench.demo import Demo
from rlbench.observation_config import LOW_DIM, RLBENCH_CAMERAS, ObservationConfig
from rlbench.stored_demos.images import CameraFiles
from rlbench.stored_demos.stored_pickle import StoredObservation, plain, read_plain, read_record

ALL_VARIATIONS = -1
"""Stands for the folder in which PerAct's generator stores all variations together."""

_SINGLE = ("gripper_open", "ignore_collisions")
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
        image_paths: observations hold the paths of images. Without it, each image is read when
            it is first used.
        dataset_root: folder with a folder for each task.
        variation_number: of the task; -1 for the folder `all_variations` of PerAct's fork.
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
    is_all = variation_number == ALL_VARIATIONS
    kind = const.VARIATIONS_ALL_FOLDER if is_all else const.VARIATIONS_FOLDER % variation_number
    episodes = folder / kind / const.EPISODES_FOLDER
    if not episodes.is_dir():
        which = "all variations" if is_all else f"variation {variation_number}"
        raise TaskEnvironmentError(
            f"no stored demonstrations of {task_name}, {which}: there is no folder {episodes}"
            f"{_others(folder)}"
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


def _others(folder: Path) -> str:
    """Say which variations of a task are there."""
    names = sorted(p.parent.name for p in folder.glob(f"*/{const.EPISODES_FOLDER}"))
    if not names:
        return ""
    more = f" and {len(names) - 5} others" if len(names) > 5 else ""
    return f"; there are {', '.join(name[:40] for name in names[:5])}{more}"


class _Episode:
    """One stored demonstration."""

    def __init__(self, folder: Path, config: ObservationConfig, image_paths: bool) -> None:
        self._folder, self._config = folder, config
        self._files = {
            camera: CameraFiles(folder, camera, wanted, image_paths)
            for camera in RLBENCH_CAMERAS
            if (wanted := config.cameras.get(camera)) is not None and wanted.is_wanted
        }

    def demo(self, task_name: str, variation: int) -> Demo:
        """Read it; its own folder says which variation, where all are stored together."""
        if variation == ALL_VARIATIONS:
            variation = self._own_variation()
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
        sentences, are_its_own = self._sentences()
        if are_its_own:
            for given in readings:
                given["misc"]["descriptions"] = sentences
        observations = [self._observation(i, given) for i, given in enumerate(readings)]
        return Demo(
            observations=observations,
            random_seed=seed,
            num_reset_attempts=placements,
            keypoint_names=names or [],
            waypoint_frames=frames or [],
            task_name=task_name,
            variation=variation,
            descriptions=sentences,
        )

    def _own_variation(self) -> int:
        path = self._folder / const.VARIATION_NUMBER
        number = read_plain(path)
        if type(number) is not int or number < 0:
            raise TaskEnvironmentError(f"{path} is no number of a variation")
        return number

    def _sentences(self) -> tuple[list[str], bool]:
        """Return the sentences of an episode, and whether they are its own or the variation's."""
        own = self._folder / const.VARIATION_DESCRIPTIONS
        if own.is_file():
            return _sentences(own), True
        shared = self._folder.parent.parent / const.VARIATION_DESCRIPTIONS
        try:
            return _sentences(shared), False
        except TaskEnvironmentError:  # missing; or something else, since RLBench never reads it
            return [], False

    def _observation(self, frame: int, given: dict[str, Any]) -> Observation:
        for name in LOW_DIM:
            if not getattr(self._config, name):
                given[name] = None
        images = {camera: CameraImages() for camera in RLBENCH_CAMERAS}
        for camera, files in self._files.items():
            images[camera] = files.images(frame, given["misc"])
        return Observation(images=images, **given)


def _sentences(path: Path) -> list[str]:
    found = read_plain(path)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise TaskEnvironmentError(f"{path} is no list of descriptions")
    return found


def _readings(moment: StoredObservation) -> dict[str, Any]:
    """Return the arguments of an observation but its images.

    Raises:
        ValueError: one is of another kind.
    """
    stored = moment.attributes
    numbers = (*LOW_DIM, "ignore_collisions")
    out: dict[str, Any] = {name: plain(stored.get(name)) for name in (*numbers, "misc")}
    for name in numbers:
        if out[name] is None:
            continue
        value = np.asarray(out[name], np.float64)
        if not np.isfinite(value).all() or (value.ndim == 0) != (name in _SINGLE):
            raise ValueError(f"{name} of an observation is damaged")
        out[name] = float(value) if name in _SINGLE else value
    if not isinstance(out["misc"], dict):
        raise ValueError("misc of an observation is no dictionary")
    for name in ("keypoints", "keypoint_visibility", "keypoint_hiders", "obj_annotations"):
        if stored.get(name) is not None:
            out[name] = plain(stored[name])
    return out
