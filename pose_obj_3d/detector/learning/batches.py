"""Clips to batches of tensors, with the changes that training makes to pictures.

The changes of one picture: other light and colours, small shifts, turns and scales (the labels
follow), noise, and pieces of other pictures pasted over it. What a piece covers is no longer seen.
The first picture of the demo gets the same light and geometry, but no pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.detector.learning.network import DEEPEST, Inputs
from pose_obj_3d.detector.types import Clip, Flags, Floats, Labels, Pictures, Prompt

MAX_PIECES = 2
PIECE_PX = (12, 90)  # sides of a pasted piece, of 256 px
NOISE_BANK = 2**20
Generator = np.random.Generator


@dataclass(frozen=True)
class Changes:
    """How much training changes pictures.

    Attributes:
        light: Largest change of brightness, as a share.
        colour: Largest change of one channel, as a share.
        shift: Largest shift, as a share of the picture's width.
        scale: Largest change of scale, as a share.
        turn: Largest turn [rad].
        noise: Standard deviation of the noise, of 255.
        pieces: Share of pictures with pieces of others over them.
        prompts: Share of prompts that are made poorer: a box, no mask, or no colour.
    """

    light: float = 0.1
    colour: float = 0.06
    shift: float = 0.03
    scale: float = 0.05
    turn: float = 0.05
    noise: float = 4.0
    pieces: float = 0.4
    prompts: float = 0.15


class Targets(NamedTuple):
    """What a batch should give.

    Attributes:
        uv: (B, K, 2) [px]; NaN where there is no label.
        inside: (B, K) 1 where the point lies in the picture.
        seen: (B, K) 1 where it is seen.
    """

    uv: Tensor
    inside: Tensor
    seen: Tensor


class Sample(NamedTuple):
    """One picture with what belongs to it; the channels of `Inputs`, still 0 to 255."""

    picture: Pictures  # (H, W, 3)
    first: Pictures  # (H, W, 3)
    masks: Pictures  # (H, W, P) 0 or 1
    colours: Floats  # (P, 4)
    uv: Floats  # (K, 2)
    inside: Flags  # (K,)
    seen: Flags  # (K,)


class BatchMaker:
    """Makes batches of clips of one size."""

    def __init__(self, clips: Sequence[Clip], cameras: Sequence[int]) -> None:
        """Take the clips; `cameras` lists the view numbers in the order of the network's own."""
        self.clips = clips
        self._camera = {view: number for number, view in enumerate(cameras)}
        self._masks = [np.ascontiguousarray(_masks(clip.prompt)) for clip in clips]
        self._colours = [_colours(clip.prompt) for clip in clips]
        bank = np.random.default_rng(0).standard_normal(NOISE_BANK)
        self._noise = bank.astype(np.float32)

    def plain(self, clip: int, rows: Sequence[int]) -> Inputs:
        """Return the inputs for pictures of one clip, unchanged."""
        return self._inputs([clip] * len(rows), [self._sample(clip, row) for row in rows])

    def drawn(
        self, picks: Sequence[tuple[int, int]], rng: Generator, changes: Changes
    ) -> tuple[Inputs, Targets]:
        """Return a changed batch of (clip, row) pairs with its targets."""
        whole = [self._sample(*pick) for pick in picks]
        size = whole[0].picture.shape[1]
        samples = []
        for n, sample in enumerate(whole):
            other = whole[(n + 1) % len(whole)].picture
            covered = _paste(sample, other, rng) if rng.random() < changes.pieces else sample
            prompted = _with_poorer_prompts(covered, rng, changes.prompts)
            samples.append(self._change(prompted, rng, changes, size))
        targets = Targets(
            torch.from_numpy(np.stack([s.uv for s in samples])),
            torch.from_numpy(np.stack([s.inside for s in samples]).astype(np.float32)),
            torch.from_numpy(np.stack([s.seen for s in samples]).astype(np.float32)),
        )
        return self._inputs([clip for clip, _ in picks], samples), targets

    def _sample(self, clip: int, row: int) -> Sample:
        source = self.clips[clip]
        known = source.labels or _no_labels(len(source.frames))
        return Sample(
            source.pictures[row],
            source.first,
            self._masks[clip],
            self._colours[clip],
            known.uv[row],
            known.is_inside[row],
            known.is_seen[row],
        )

    def _change(self, sample: Sample, rng: Generator, changes: Changes, size: int) -> Sample:
        """Change geometry and light of a sample."""
        matrix = _transform(rng, changes, size)
        gain = (1 + changes.light * rng.uniform(-1, 1)) * (
            1 + changes.colour * rng.uniform(-1, 1, 3)
        )
        table = np.arange(256)[:, None] * gain + 128 * changes.light * rng.uniform(-1, 1)
        lut = np.clip(table, 0, 255).astype(np.uint8)[None]
        moved = [_warp(_lit(part, lut), matrix) for part in (sample.picture, sample.first)]
        if changes.noise:
            start = rng.integers(0, NOISE_BANK - moved[0].size)
            noise = self._noise[start : start + moved[0].size].reshape(moved[0].shape)
            noisy = moved[0] + changes.noise * noise
            moved[0] = np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)
        uv = (sample.uv @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        with np.errstate(invalid="ignore"):
            stays = ((uv >= 0) & (uv < np.array(sample.picture.shape[1::-1]))).all(-1)
        return Sample(
            moved[0],
            moved[1],
            _warp(sample.masks, matrix),
            sample.colours,
            uv,
            sample.inside & stays,
            sample.seen & stays,
        )

    def _inputs(self, clips: Sequence[int], samples: Sequence[Sample]) -> Inputs:
        height, width = (_padded(n) for n in samples[0].picture.shape[:2])
        num_prompts = samples[0].masks.shape[2]
        picture = np.full((len(samples), height, width, 3), 128, np.uint8)
        first = np.full_like(picture, 128)
        masks = np.zeros((len(samples), height, width, num_prompts), np.uint8)
        for n, sample in enumerate(samples):
            h, w = sample.picture.shape[:2]
            picture[n, :h, :w], first[n, :h, :w] = sample.picture, sample.first
            masks[n, :h, :w] = sample.masks
        reference = torch.cat([_scaled(first), torch.from_numpy(masks).float()], -1)
        return Inputs(
            _scaled(picture).permute(0, 3, 1, 2),
            reference.permute(0, 3, 1, 2),
            torch.from_numpy(np.stack([sample.colours for sample in samples])),
            torch.tensor([self._camera[self.clips[clip].view] for clip in clips]),
        )


def _no_labels(count: int) -> Labels:
    nothing = np.zeros((count, 0), bool)
    return Labels(np.zeros((count, 0, 2), np.float32), nothing, nothing)


def _masks(prompt: Prompt) -> npt.NDArray[np.uint8]:
    return np.moveaxis(prompt.masks, 0, -1).astype(np.uint8)


def _colours(prompt: Prompt) -> Floats:
    """Return (P, 4): colour around 0, and whether there is one."""
    is_known = ~np.isnan(prompt.colours).any(-1, keepdims=True)
    colour = np.where(is_known, prompt.colours - 0.5, 0)
    return np.concatenate([colour, is_known], -1).astype(np.float32)


def _scaled(pictures: Pictures) -> Tensor:
    return torch.from_numpy(pictures).float() / 255 - 0.5


def _padded(length: int) -> int:
    return -(-length // DEEPEST) * DEEPEST


def _transform(rng: Generator, changes: Changes, size: int) -> npt.NDArray[np.float64]:
    """Draw a (2, 3) map from old to new image points [px], around the picture's middle."""
    angle, scale = changes.turn * rng.uniform(-1, 1), 1 + changes.scale * rng.uniform(-1, 1)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, size / 2)
    shift = changes.shift * size * rng.uniform(-1, 1, 2)
    return np.concatenate([linear, (middle + shift - linear @ middle)[:, None]], 1)


def _lit(picture: Pictures, lut: Pictures) -> Pictures:
    return np.asarray(cv2.LUT(picture, lut), np.uint8)


def _warp(picture: Pictures, matrix: npt.NDArray[np.float64]) -> Pictures:
    """Move a picture (H, W, C); OpenCV puts the centre of the first pixel at 0, we at 0.5."""
    if picture.shape[2] == 0:
        return picture
    half = np.full(2, 0.5)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ half - half
    height, width = picture.shape[:2]
    layers = [
        cv2.warpAffine(
            np.ascontiguousarray(picture[..., n : n + 4]),
            moved,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).reshape(height, width, -1)
        for n in range(0, picture.shape[2], 4)
    ]
    return np.asarray(np.concatenate(layers, -1), np.uint8)


def _with_poorer_prompts(sample: Sample, rng: Generator, share: float) -> Sample:
    """Make some prompts as poor as those that a user may give."""
    masks, colours = sample.masks.copy(), sample.colours.copy()
    for n in np.flatnonzero(rng.random(len(colours)) < share):
        kind = rng.integers(3)
        rows, columns = np.nonzero(masks[..., n])
        if kind == 0 and len(rows):
            box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
            masks[(*box, n)] = 1
        elif kind == 1:
            masks[..., n] = 0
        elif kind == 2:
            colours[n] = 0
    return sample._replace(masks=masks, colours=colours)


def _paste(sample: Sample, other: Pictures, rng: Generator) -> Sample:
    """Paste pieces of another picture, or of one colour, over a picture."""
    picture, seen = sample.picture.copy(), sample.seen.copy()
    height, width = picture.shape[:2]
    low, high = (max(1, n * width // 256) for n in PIECE_PX)
    for _ in range(rng.integers(1, MAX_PIECES + 1)):
        h, w = min(height, int(rng.integers(low, high))), min(width, int(rng.integers(low, high)))
        y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        if rng.random() < 0.7:
            v, u = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            picture[y : y + h, x : x + w] = other[v : v + h, u : u + w]
        else:
            picture[y : y + h, x : x + w] = rng.integers(0, 256, 3)
        u, v = sample.uv.T
        with np.errstate(invalid="ignore"):
            seen &= ~((u >= x) & (u < x + w) & (v >= y) & (v < y + h))
    return sample._replace(picture=picture, seen=seen)
