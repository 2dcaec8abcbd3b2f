"""Detection with a trained network: candidates of each frame, one path through them, claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pose_obj_3d.common.config_files import config_of
from pose_obj_3d.common.errors import CheckpointError, DataError
from pose_obj_3d.detector.config import DetectorConfig
from pose_obj_3d.detector.learning import checkpoint as checkpoints
from pose_obj_3d.detector.learning.batches import BatchMaker
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.claims import Calibration, Raw
from pose_obj_3d.detector.learning.linking import NEVER, STEP_PX, Links, carried, link
from pose_obj_3d.detector.learning.losses import claim_of
from pose_obj_3d.detector.learning.naming import find_exchanges
from pose_obj_3d.detector.learning.network import Candidates, Inputs
from pose_obj_3d.detector.learning.pairs import Middle, link_pair
from pose_obj_3d.detector.types import Clip, Detections, by_demo

CANDIDATES = 4
NUM_FACTS = 9  # about a detection, beside their products and which keypoint it is
BATCH = 32  # pictures at once
NEAR_FRAMES = 3  # before and after a frame, for the median of the path
LARGEST_LOGIT = 8.0


@dataclass(frozen=True)
class Found:
    """The detections of a clip, their claims not yet corrected.

    Attributes:
        uv: (N, K, 2) [px].
        raw: Claims of the N * K detections, frame by frame.
        inside: (N, K) logit that the point lies in the picture.
        seen: (N, K) logit that it is seen.
    """

    uv: Tensor
    raw: Raw
    inside: Tensor
    seen: Tensor

    def mean_sd(self) -> Tensor:
        """Return the mean claimed deviation (N, K), not yet corrected [px]."""
        return self.raw.size().exp().view(self.inside.shape)

    def exchanged(self, pair: tuple[int, int], frames: Tensor) -> "Found":
        """Exchange two keypoints where `frames` (N,) is True; what is said to be seen stays."""
        N, K = self.inside.shape
        order = torch.arange(K).repeat(N, 1)
        order[frames, pair[0]], order[frames, pair[1]] = pair[1], pair[0]
        rows = torch.arange(N)[:, None]
        flat = (rows * K + order).flatten()
        raw = self.raw
        swapped = Raw(raw.log_sd[flat], raw.rho[flat], raw.facts[flat], raw.seen)
        return Found(self.uv[rows, order], swapped, self.inside, self.seen)


def find_candidates(
    network: nn.Module, maker: BatchMaker, clip: int, uses_bfloat16: bool
) -> Candidates:
    """Find the candidates of one clip of a `BatchMaker`; the network must be in `eval` mode."""
    count = len(maker.clips[clip].frames)
    parts = []
    with torch.inference_mode():
        for start in range(0, count, BATCH):
            inputs = maker.plain(clip, range(start, min(start + BATCH, count)))
            found = run_network(network, inputs, CANDIDATES, uses_bfloat16)
            parts.append(found._replace(log_heat=found.log_heat[:0]))  # large, and not needed
    return Candidates(*(torch.cat(column).cpu().clone() for column in zip(*parts, strict=True)))


def run_network(network: nn.Module, inputs: Inputs, count: int, uses_bfloat16: bool) -> Candidates:
    """Run a network on a batch, on its own device."""
    device = next(network.parameters()).device
    there = Inputs(*(part.to(device) for part in inputs))
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16):
        found = network(there, count)
    return Candidates(*(part.float() for part in found))


class _Choices(NamedTuple):
    """Candidates of all frames, those of other frames included; M of them.

    Attributes:
        uv: (T, K, M, 2) [px].
        log_sd: (T, K, M, 2) [log px].
        rho: (T, K, M) correlation.
        gross: (T, K, M) log odds of a gross error.
        score: (T, K, M) log probability of the heatmap around the peak.
        gap: (T, K, M) frames to the one that it was found in.
        cost: (T, K, M) what it costs.
    """

    uv: Tensor
    log_sd: Tensor
    rho: Tensor
    gross: Tensor
    score: Tensor
    gap: Tensor
    cost: Tensor


def _choices(found: Candidates, rest_cost: Tensor) -> _Choices:
    """List the candidates of each frame, and those that rest since another one."""
    claim = claim_of(found.claim)
    gross = claim.gross.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    cost = -found.score - nn.functional.logsigmoid(-gross)
    own = _Choices(
        found.uv, claim.log_sd, claim.rho, gross, found.score, torch.zeros_like(cost), cost
    )
    best = cost.argmin(-1, keepdim=True)  # (T, K, 1)
    certain = torch.from_numpy(carried(cost.amin(-1).numpy()))  # (T, K, 2)
    frames = torch.arange(len(cost))[:, None, None]
    is_there = (certain >= 0) & (certain != frames)
    source = torch.where(certain >= 0, certain, frames)
    keypoints = torch.arange(cost.shape[1])[None, :, None]

    def fetched(values: Tensor) -> Tensor:
        index = best if values.ndim == 3 else best[..., None]
        return values.take_along_dim(index, 2).squeeze(2)[source, keypoints]

    others = [
        *(fetched(values) for values in own[:5]),
        (source - frames).abs().float(),
        torch.where(is_there, rest_cost[None, :, None], NEVER).float(),
    ]
    return _Choices(*(torch.cat(both, 2) for both in zip(own, others, strict=True)))


@dataclass(frozen=True)
class _Path:
    """Which candidates were chosen.

    Attributes:
        uv: (T, K, 2) [px].
        whose: (T, K) of which keypoint the candidate is.
        which: (T, K) its number.
        is_mirrored: (T, K) whether `uv` is its mirror image on the other side of a middle.
        off_middle: (T, K) how far a pair is off its middle [px].
    """

    uv: Tensor
    whose: Tensor
    which: Tensor
    is_mirrored: Tensor
    off_middle: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Take what the chosen candidates have: (T, K, M, ...) to (T, K, ...)."""
        frames = torch.arange(len(self.whose))[:, None]
        return values[frames, self.whose, self.which]


def _find_path(choices: _Choices, subject: Subject, links: Links) -> _Path:
    uv, cost, width = choices.uv.numpy(), choices.cost.numpy(), subject.image_size[0]
    which = link(uv, cost, width)
    T, K = which.shape
    whose = np.tile(np.arange(K), (T, 1))
    places = np.take_along_axis(uv, which[..., None, None], 2)[:, :, 0]
    costs = np.take_along_axis(cost, which[..., None], 2)[:, :, 0]
    is_mirrored, off = np.zeros((T, K), bool), np.zeros((T, K), np.float32)
    for pair, middle in zip(subject.pair_numbers(), links.middles, strict=True):
        two, own = list(pair), slice(CANDIDATES)  # they never rest: links.rest_cost
        known = None if middle is None else Middle(places[:, middle].copy(), costs[:, middle])
        step = STEP_PX * width / 256
        found = link_pair(uv[:, two, own], cost[:, two, own], known, width, step)
        places[:, two], which[:, two] = found.uv, found.which
        whose[:, two] = np.array(two)[found.whose]
        is_mirrored[:, two], off[:, two] = found.is_mirrored, found.off_middle[:, None]
    return _Path(*map(torch.from_numpy, (places, whose, which, is_mirrored, off)))


def linked(found: Candidates, subject: Subject, links: Links) -> Found:
    """Choose one candidate of each frame and keypoint.

    Args:
        found: Candidates of all frames of a clip.
        subject: What the detector knows.
        links: How its keypoints move, and lie to each other.
    """
    choices = _choices(found, links.rest_cost)
    path = _find_path(choices, subject, links)
    own = torch.arange(len(subject.keypoints))
    facts = [
        path.of(choices.gross),
        path.of(choices.score),
        ((path.which > 0) | (path.whose != own)).float(),
        path.of(choices.gap).log1p(),
        found.seen,
        torch.from_numpy(path_jumps(path.uv.numpy())).log1p(),
        found.inside,
        path.is_mirrored.float(),
        path.off_middle.log1p(),
    ]
    told = torch.stack([f.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) for f in facts], -1)
    assert told.shape[-1] == NUM_FACTS
    squares = told[..., :, None] * told[..., None, :] / LARGEST_LOGIT
    upper = torch.triu_indices(NUM_FACTS, NUM_FACTS)
    K = len(subject.keypoints)
    whose = torch.eye(K).expand(len(told), K, K)
    raw = Raw(
        path.of(choices.log_sd).flatten(0, 1),
        path.of(choices.rho).flatten(),
        torch.cat([told, squares[..., upper[0], upper[1]], whose], -1).flatten(0, 1),
        found.seen.flatten() > 0,
    )
    return Found(path.uv, raw, found.inside, found.seen)


def named(clips: Sequence[Clip], found: Sequence[Found], subject: Subject) -> list[Found]:
    """Make the names of keypoints that look alike agree between all views of each demo.

    Views whose cameras are not known, or that show other frames, stay as they are.
    """
    result = list(found)
    for members in by_demo(clips):
        cameras = [camera for n in members if (camera := clips[n].camera) is not None]
        frames = {tuple(clips[n].frames) for n in members}
        if len(cameras) != len(members) or len(frames) != 1:
            continue
        for pair in subject.pair_numbers():
            two = list(pair)
            uv = torch.stack([result[n].uv[:, two] for n in members])
            sd = torch.stack([result[n].mean_sd()[:, two] for n in members])
            flips = find_exchanges(uv.double().numpy(), sd.double().numpy(), np.stack(cameras))
            for n, flip in zip(members, flips, strict=True):
                result[n] = result[n].exchanged(pair, torch.from_numpy(flip))
    return result


def number_of_facts(num_keypoints: int) -> int:
    """Return how many numbers about a detection its claim may depend on."""
    return NUM_FACTS + NUM_FACTS * (NUM_FACTS + 1) // 2 + num_keypoints


def path_jumps(uv: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return how far (N, K) points (N, K, 2) lie from the median of the frames around [px]."""
    around = range(-NEAR_FRAMES, NEAR_FRAMES + 1)
    last = len(uv) - 1
    rows = [np.clip(np.arange(len(uv)) + n, 0, last) for n in around]
    middle = np.median(np.stack([uv[row] for row in rows]), 0)
    return np.asarray(np.linalg.norm(uv - middle, axis=-1), np.float32)


def with_claims(found: Found, calibration: Calibration) -> Detections:
    """Correct the claims of what was found."""
    shape = found.inside.shape
    raw = found.raw.double()
    return Detections(
        uv=found.uv.numpy().astype(np.float32),
        sd=calibration.log_sd(raw).exp().view(*shape, 2).numpy().astype(np.float32),
        rho=found.raw.rho.view(shape).numpy().astype(np.float32),
        p_inside=torch.sigmoid(found.inside).numpy().astype(np.float32),
        p_seen=(torch.sigmoid(found.seen) * torch.sigmoid(found.inside)).numpy().astype(np.float32),
    )


class TrainedDetector:
    """A detector from a checkpoint. See `types.Detector`.

    Attributes:
        name: For the record.
        subject: What it knows.
        gate_px: A detection with a larger mean claimed sd is better not used [px].
        labelled_frames: Labels in each view that trained it; None for all.
    """

    def __init__(self, path: Path, device: torch.device | None = None) -> None:
        """Read a checkpoint.

        Raises:
            CheckpointError: It is missing, damaged, of another kind, or not finished.
        """
        state = checkpoints.load(path)
        self.subject = checkpoints.subject_of(state)
        try:
            told = state.get("calibration")
            self._calibration = Calibration.from_state(
                told if isinstance(told, dict) else {},
                len(self.subject.keypoints),
                len(self.subject.exchangeable),
                number_of_facts(len(self.subject.keypoints)),
            )
        except ValueError as error:
            raise CheckpointError(
                f"{path}: its claims are not calibrated for this version ({error}); use best.pt of"
                " a finished training. run_detector.py --resume_checkpoint calibrates an older one"
                " again, without training"
            ) from error
        network = checkpoints.network_of(path, state)
        self._network = network.to(device or torch.device("cpu")).eval()
        self._uses_bfloat16 = bool(state.get("uses_bfloat16"))
        self.name = f"{checkpoints.KIND} {path.parent.parent.name}"
        self.gate_px = self._calibration.gate_px
        self.labelled_frames = config_of(path, state, DetectorConfig).DATA.LABELLED_FRAMES

    @property
    def keypoints(self) -> list[str]:
        """Names of the K keypoints."""
        return list(self.subject.keypoints)

    def detect(self, clips: list[Clip]) -> list[Detections]:
        """Find the keypoints in clips of a demo; one (N, K) result for each.

        Raises:
            DataError: Pictures of another size or camera, or with other prompts, than it knows.
        """
        check_clips(clips, self.subject)
        maker = BatchMaker(clips, range(len(self.subject.cameras)))
        found = (
            find_candidates(self._network, maker, n, self._uses_bfloat16) for n in range(len(clips))
        )
        links = self._calibration.links
        parts = [linked(part, self.subject, links) for part in found]
        return [with_claims(part, self._calibration) for part in named(clips, parts, self.subject)]


def check_clips(clips: Sequence[Clip], subject: Subject) -> None:
    """Refuse clips that a detector cannot read.

    Raises:
        DataError: Pictures of another size or camera, or with other prompts, than it knows.
    """
    for clip in clips:
        height, width = clip.pictures.shape[1:3]
        where = f"example {clip.example} of T{clip.task}, view {clip.view}"
        if (width, height) != subject.image_size:
            wanted = " x ".join(map(str, subject.image_size))
            raise DataError(
                f"{where}: pictures of {width} x {height} px; the detector knows {wanted} px"
            )
        if not 0 <= clip.view < len(subject.cameras):
            raise DataError(f"{where}: the detector knows {len(subject.cameras)} cameras")
        if len(clip.prompt.masks) != len(subject.prompts):
            raise DataError(
                f"{where}: {len(clip.prompt.masks)} prompts; the detector needs"
                f" {len(subject.prompts)}"
            )
