"""What is fitted on held-out demos once the weights are there: resting, claims, the gate."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.common.errors import TrainingError
from pose_obj_3d.detector.learning import report
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.claims import Calibration, Raw, calibrate
from pose_obj_3d.detector.learning.finding import Found, linked, named
from pose_obj_3d.detector.learning.linking import NEVER, Links
from pose_obj_3d.detector.learning.network import Candidates
from pose_obj_3d.detector.types import Clip

MIN_TO_CALIBRATE = 30  # detections; fewer tell nothing about 95 %
REST_COSTS = (1.0, 2.0, 3.0)  # tried for each keypoint, beside not resting at all
LEAST_GAIN = 0.03  # of the mean error, for which resting, or a middle, is believed
LARGEST_PX = 30.0  # of 256: an error counts no more than this
MIDDLE_PX = 1.0  # of 256: how far the middle of two may be from a keypoint that lies in it
MIN_MIDDLES = 30  # labels that tell
Middles = tuple[int | None, ...]
Errors = npt.NDArray[np.float32]


def fit_calibration(
    clips: Sequence[Clip], found: Sequence[Candidates], subject: Subject
) -> Calibration:
    """Fit what turns candidates into detections with claims.

    Args:
        clips: Labelled clips of held-out demos.
        found: Their candidates.
        subject: What the detector knows.

    Raises:
        TrainingError: There are too few labels.
    """
    require_labels(clips)
    middles = choose_middles(clips, found, subject)
    links = Links(choose_rest_cost(clips, found, subject, middles), middles)
    parts = named(clips, [linked(part, subject, links) for part in found], subject)
    raws, errors, seen = [], [], []
    for clip, part, error in zip(clips, parts, _errors(clips, parts, subject), strict=True):
        labels = clip.labels
        assert labels is not None
        flat = torch.from_numpy(error).flatten(0, 1)
        used = torch.from_numpy(labels.is_inside).flatten() & ~torch.isnan(flat).any(-1)
        raw = part.raw
        raws.append(Raw(raw.log_sd[used], raw.rho[used], raw.facts[used], raw.seen[used]))
        errors.append(flat[used])
        seen.append(torch.from_numpy(labels.is_seen).flatten()[used])
    names = ("log_sd", "rho", "facts", "seen")
    whole = Raw(*(torch.cat([getattr(raw, name) for raw in raws]) for name in names))
    width = subject.image_size[0]
    return calibrate(whole, torch.cat(errors), torch.cat(seen), width, links)


def require_labels(clips: Sequence[Clip]) -> None:
    """Refuse held-out clips with too few labels; better before a training than after it.

    Raises:
        TrainingError: There are fewer than `MIN_TO_CALIBRATE`.
    """
    count = 0
    for clip in clips:
        if clip.labels is not None:
            count += int((clip.labels.is_inside & ~np.isnan(clip.labels.uv).any(-1)).sum())
    if count < MIN_TO_CALIBRATE:
        raise TrainingError(
            f"{count} labels of held-out demos are too few to calibrate the claims on, at least"
            f" {MIN_TO_CALIBRATE} are needed; raise DATA.HELD_OUT or DATA.LABELLED_FRAMES"
        )


def find_middles(clips: Sequence[Clip], subject: Subject) -> Middles:
    """Find for each pair of keypoints that look alike the keypoint in the middle between them.

    Labels tell: the middle of the two may be off by `MIDDLE_PX` (root mean square).
    """
    truth = [
        np.where(labels.is_inside[..., None], labels.uv, np.nan)
        for clip in clips
        if (labels := clip.labels) is not None
    ]
    uv = np.concatenate(truth)  # (N, K, 2)
    paired = {k for pair in subject.pair_numbers() for k in pair}
    found: list[int | None] = []
    for a, b in subject.pair_numbers():
        off = np.linalg.norm((uv[:, a] + uv[:, b])[:, None] / 2 - uv, axis=-1)  # (N, K)
        known = ~np.isnan(off)
        square = np.where(known, off, 0.0) ** 2
        rms = np.sqrt(square.sum(0) / np.maximum(known.sum(0), 1))
        rms[(known.sum(0) < MIN_MIDDLES) | np.isin(np.arange(len(rms)), list(paired))] = np.inf
        best = int(rms.argmin())
        found.append(best if rms[best] < MIDDLE_PX * subject.image_size[0] / 256 else None)
    return tuple(found)


def choose_middles(clips: Sequence[Clip], found: Sequence[Candidates], subject: Subject) -> Middles:
    """Choose the middles that help: where the one in the middle is badly found, it does not."""
    middles = find_middles(clips, subject)
    never = torch.full((len(subject.keypoints),), NEVER)
    means = [
        _mean_errors(clips, found, subject, Links(never, which))
        for which in (middles, (None,) * len(middles))
    ]
    pairs = [list(pair) for pair in subject.pair_numbers()]
    helps = [means[0][p].sum() < (1 - LEAST_GAIN) * means[1][p].sum() for p in pairs]
    return tuple(m if good else None for m, good in zip(middles, helps, strict=True))


def choose_rest_cost(
    clips: Sequence[Clip], found: Sequence[Candidates], subject: Subject, middles: Middles
) -> Tensor:
    """Choose for each keypoint (K,) what it costs to rest, by the mean error; mostly it is never.

    Keypoints that look alike never rest: they are linked together.
    """
    K = len(subject.keypoints)
    costs = (NEVER, *REST_COSTS)
    means = torch.stack(
        [
            torch.from_numpy(
                _mean_errors(clips, found, subject, Links(torch.full((K,), cost), middles))
            )
            for cost in costs
        ]
    )  # (costs, K)
    best = means.argmin(0)
    gains = means.amin(0) < (1 - LEAST_GAIN) * means[0]
    chosen = torch.where(gains, torch.tensor(costs)[best], NEVER)
    for pair in subject.pair_numbers():
        chosen[list(pair)] = NEVER
    return chosen


def _mean_errors(
    clips: Sequence[Clip], found: Sequence[Candidates], subject: Subject, links: Links
) -> npt.NDArray[np.float64]:
    """Return the mean errors (K,) of what lies in the pictures [px], large ones cut."""
    parts = named(clips, [linked(part, subject, links) for part in found], subject)
    most = LARGEST_PX * subject.image_size[0] / 256
    total, count = np.zeros(len(subject.keypoints)), np.zeros(len(subject.keypoints))
    for clip, error in zip(clips, _errors(clips, parts, subject), strict=True):
        assert clip.labels is not None
        length = np.linalg.norm(error, axis=-1)
        used = clip.labels.is_inside & ~np.isnan(length)
        total += np.where(used, np.minimum(length, most), 0).sum(0)
        count += used.sum(0)
    return np.asarray(total / np.maximum(count, 1))


def _errors(clips: Sequence[Clip], parts: Sequence[Found], subject: Subject) -> list[Errors]:
    """Return the errors (N, K, 2) of clips [px]; look-alikes up to one exchange for each demo."""
    points = report.exchanged(clips, [part.uv.numpy() for part in parts], subject.pair_numbers())
    errors = []
    for clip, uv in zip(clips, points, strict=True):
        assert clip.labels is not None
        errors.append(np.asarray(uv - clip.labels.uv, np.float32))
    return errors
