"""What a user can choose when tracks are lifted; each option has the name of its flag."""

from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

from pose_obj_3d.common.errors import ConfigError

KEPT = ("best", "model", "map", "smoother", "triangulation")
CONTEXTS = ("window", "track")
REFINE_PRIOR = (0.5, 1.0)  # standard deviations: orientation [degrees], focal length [%]
MAX_PRIOR = 45.0
PATIENCE = 20  # epochs without a better validation value after which training stops


@dataclass(frozen=True)
class LiftOptions:
    """Options of one run. What contradicts itself is a ConfigError.

    Attributes:
        train: Learn from the tracks, without labels.
        checkpoint: `best.pt` of an earlier training, or None.
        sigma_px: Noise of the 2D points [px]: one number, or one for each camera; empty: estimate.
        context: Frames that a trained model sees: `window` (7) or `track` (all; the default).
        epochs: Epochs of training; by default they suit the number of frames.
        patience: Epochs without a better validation value before training stops; 0: never stop.
        seed: Seed of the weights and of the order in training.
        keep: The result to keep: `best` lets left-out detections decide.
        bridge_limit: Largest standard deviation of a point between measurements, in the file's
            unit; beyond it the point is NaN. None: 2 to 3 % of the distance to the cameras.
        refine: Adjust the cameras by the tracks, where held-out frames are then predicted better.
        refine_prior: With `refine`: standard deviations of what is known of the cameras: of their
            orientation [degrees], and of their focal length [%]; empty: 0.5 and 1.
        gpu: CUDA device number. The CPU is used where there is no such device.
    """

    train: bool = False
    checkpoint: Path | None = None
    sigma_px: tuple[float, ...] = ()
    context: str | None = None
    epochs: int | None = None
    patience: int | None = None
    seed: int = 0
    keep: str = KEPT[0]
    bridge_limit: float | None = None
    refine: bool = False
    refine_prior: tuple[float, ...] = ()
    gpu: str = "0"

    def __post_init__(self) -> None:
        """Refuse options that contradict each other, before the work."""
        for name, number in (
            ("epochs", self.epochs),
            ("patience", self.patience),
            ("seed", self.seed),
        ):
            if number is not None and not isinstance(number, Integral):
                raise ConfigError(f"--{name} {str(number)[:40]}: allowed: a whole number")
        _check_choice("keep", self.keep, KEPT)
        if self.context is not None:
            _check_choice("context", self.context, CONTEXTS)
        if self.train and self.checkpoint is not None:
            raise ConfigError("--train and --checkpoint exclude each other; leave one of them out")
        training = (self.context, self.epochs, self.patience)
        if not self.train and any(value is not None for value in training):
            raise ConfigError(
                "--context, --epochs and --patience belong to --train; add it, or leave them out"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(f"--epochs {self.epochs}: allowed: 1 or more")
        if self.patience is not None and self.patience < 0:
            raise ConfigError(
                f"--patience {self.patience}: allowed: a number of epochs, or 0 for never"
            )
        if self.keep == "model" and not (self.train or self.checkpoint):
            raise ConfigError("--keep model: there is none; add --train or --checkpoint")
        limit = self.bridge_limit
        if limit is not None and not (isinstance(limit, Real) and limit >= 0):
            raise ConfigError(
                f"--bridge_limit {str(limit)[:40]}: allowed: 0 (bridge nothing) to inf (every"
                " gap between measurements)"
            )

        self._check_refine()

    def _check_refine(self) -> None:
        prior = self.refine_prior
        if prior and not self.refine:
            raise ConfigError("--refine_prior belongs to --refine; add it, or leave it out")
        if len(prior) not in (0, 1, 2) or any(not 0 < x <= MAX_PRIOR for x in prior):
            raise ConfigError(
                f"--refine_prior {' '.join(map(str, prior))[:60]}: allowed: how well cameras are"
                " known, as standard deviations: DEGREES of orientation, then PERCENT of the focal"
                f" length, each above 0 and at most {MAX_PRIOR:g}"
            )

    @property
    def prior(self) -> tuple[float, float]:
        """What is known of the cameras: orientation [degrees], focal length [%]."""
        given = (*self.refine_prior, *REFINE_PRIOR[len(self.refine_prior) :])
        return given[0], given[1]

    @property
    def patience_epochs(self) -> int:
        """Epochs without a better validation value before training stops; 0: never."""
        return PATIENCE if self.patience is None else self.patience


def _check_choice(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise ConfigError(f"--{name} {str(value)[:40]}: allowed: {', '.join(allowed)}")
