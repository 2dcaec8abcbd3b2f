"""Examples of an archive, made from stored episodes when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.raw.episode_key import EpisodeKey, seed_example
from data_generation.RLBench.raw.store import RawStore, RawTracks
from data_generation.RLBench.tracks.detector import (
    DetectorNoise,
    assemble,
    camera_numbers,
    detect,
    rounded,
)
from rlbench.cameras import project_views

Example = npt.NDArray[np.float32]


def make_example(episode: RawTracks, number: int, width: int, noise: DetectorNoise) -> Example:
    """Give the track (V, T, K, 8) of an episode.

    Args:
        episode: Where the keypoints were.
        number: The example's number in its task, which decides its noise.
        width: Of the images [px].
        noise: Of the detector.
    """
    xyz = rounded(episode.xyz)
    uv, _ = project_views(xyz, episode.intrinsics, episode.extrinsics)
    cameras = camera_numbers(episode.track_cams)
    detected = detect(uv, episode.visibility, width, episode.key.task_id, number, noise, cameras)
    return assemble(uv, detected, xyz, episode.visibility)


def first_frame(episode: RawTracks) -> RawTracks:
    """Leave of an episode's numbers the first frame alone: small, however many there are."""
    return replace(episode, xyz=episode.xyz[:1].copy(), visibility=episode.visibility[:, :1].copy())


@dataclass(frozen=True)
class StoredExamples(Sequence[Example]):
    """The examples of a task, each read and made when it is asked for; may go to a process.

    Attributes:
        store: The data set.
        keys: Its episodes, in the order of the examples.
        width: Of the images [px].
        noise: Of the detector.
    """

    store: RawStore
    keys: tuple[EpisodeKey, ...]
    width: int
    noise: DetectorNoise

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.keys)

    @overload
    def __getitem__(self, n: int) -> Example: ...
    @overload
    def __getitem__(self, n: slice) -> list[Example]: ...
    def __getitem__(self, n: int | slice) -> Example | list[Example]:
        """Make an example, or some."""
        numbers = range(len(self.keys))[n]
        if isinstance(numbers, range):
            return [self[i] for i in numbers]
        episode = self.store.read_tracks(self.keys[numbers])
        return make_example(episode, seed_example(self.store.mode, numbers), self.width, self.noise)
