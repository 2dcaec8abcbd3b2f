"""Detection with a trained network: candidates of each frame, one path through them, claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import CheckpointError, DataError
from pose_obj_3d.detector.learning import checkpoint as checkpoints
from pose_obj_3d.detector.learning.batches import BatchMaker
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.claims import Calibration, Raw
from pose_obj_3d.detector.learning.linking import link
from pose_obj_3d.detector.learning.losses import claim_of
from pose_obj_3d.detector.learning.network import Candidates, Inputs
from pose_obj_3d.detector.types import Clip, Detections

CANDIDATES = 4
NUM_FACTS = 6  # about a detection, beside which keypoint it is
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


def find(
    network: nn.Module, maker: BatchMaker, clip: int, subject: Subject, uses_bfloat16: bool
) -> Found:
    """Find the keypoints of one clip of a `BatchMaker`; the network must be in `eval` mode."""
    count = len(maker.clips[clip].frames)
    parts = []
    with torch.inference_mode():
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            inputs = maker.plain(clip, rows)
            parts.append(run_network(network, inputs, CANDIDATES, uses_bfloat16))
    whole = Candidates(*(torch.cat(column).cpu().clone() for column in zip(*parts, strict=True)))
    return _linked(whole, subject)


def run_network(network: nn.Module, inputs: Inputs, count: int, uses_bfloat16: bool) -> Candidates:
    """Run a network on a batch, on its own device."""
    device = next(network.parameters()).device
    there = Inputs(*(part.to(device) for part in inputs))
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16):
        found = network(there, count)
    return Candidates(*(part.float() for part in found))


def _linked(found: Candidates, subject: Subject) -> Found:
    """Choose one candidate of each frame and keypoint."""
    pairs = subject.pair_numbers()
    claim = claim_of(found.claim)
    gross = claim.gross.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    cost = -found.score - nn.functional.logsigmoid(-gross)
    chosen = link(found.uv.numpy(), cost.numpy(), pairs, subject.image_size[0])
    index = torch.from_numpy(chosen)[..., None]
    uv, log_sd = (
        x.take_along_dim(index[..., None], 2).squeeze(2) for x in (found.uv, claim.log_sd)
    )
    score, gross, rho = (
        x.take_along_dim(index, 2).squeeze(2) for x in (found.score, gross, claim.rho)
    )
    seen = found.seen.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    jump = torch.from_numpy(path_jumps(uv.numpy())).log1p()
    facts = [gross, score, (index[..., 0] > 0).float(), seen, jump, found.inside]
    K = len(subject.keypoints)
    told = torch.stack([fact.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) for fact in facts], -1)
    whose = torch.eye(K).expand(len(uv), K, K)
    raw = Raw(log_sd.flatten(0, 1), rho.flatten(), torch.cat([told, whose], -1).flatten(0, 1))
    return Found(uv, raw, found.inside, seen)


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
    raw = Raw(found.raw.log_sd.double(), found.raw.rho.double(), found.raw.facts.double())
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
            number = NUM_FACTS + len(self.subject.keypoints)
            self._calibration = Calibration.from_state(
                told if isinstance(told, dict) else {}, number
            )
        except ValueError as error:
            raise CheckpointError(
                f"{path}: its claims are not calibrated ({error}); use best.pt of a training that"
                " has come to its end, or continue it with --resume_checkpoint"
            ) from error
        network = checkpoints.network_of(path, state)
        self._network = network.to(device or torch.device("cpu")).eval()
        self._uses_bfloat16 = bool(state.get("uses_bfloat16"))
        self.name = f"{checkpoints.KIND} {path.parent.parent.name}"
        self.gate_px = self._calibration.gate_px
        self.labelled_frames = checkpoints.config_of(path, state).DATA.LABELLED_FRAMES

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
            find(self._network, maker, n, self.subject, self._uses_bfloat16)
            for n in range(len(clips))
        )
        return [with_claims(part, self._calibration) for part in found]


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
