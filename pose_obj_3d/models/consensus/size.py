"""Size of STC, and the stretches of frames that it sees."""

from dataclasses import dataclass
from itertools import pairwise

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.models.choices import BLIND_SPOTS, CONTEXTS

# First offsets of the bins beyond the window, in track context.
FAR_EDGES = (4, 6, 9, 13, 19, 28, 41, 61)
WHOLE = 1_000_000  # [frames] beyond every example


@dataclass(frozen=True)
class StcConfig:
    """Size of the network.

    Attributes:
        num_keypoints: Number of different keypoints in the data.
        num_frames: Window length T, odd; its frames are bins of their own.
        context: `window`: nothing else; `track`: the rest of the example too, by bins of growing
            length and by smoothers.
        width: Channels of a keypoint's token.
        num_layers: Attention layers across keypoints.
        num_heads: Attention heads.
        num_mixes: Mixes of filters from long to short; each but the first corrects the one before.
        dropout: Rate inside the layers.
        blind: What a prediction has not seen of what scores it: `frame` or `view`; `auto`: a frame
            where errors of neighbouring frames are independent, else a view.
    """

    num_keypoints: int
    num_frames: int = 7
    context: str = "window"
    width: int = 64
    num_layers: int = 2
    num_heads: int = 4
    num_mixes: int = 4
    dropout: float = 0.0
    blind: str = "auto"

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.num_frames % 2 == 0 or not 3 <= self.num_frames <= 13:
            raise ConfigError(
                f"NETWORK.TEMPORAL_LENGTH of STC must be odd, 3 to 13, got {self.num_frames}"
            )
        if self.context not in CONTEXTS:
            raise ConfigError(
                f"NETWORK.STC.CONTEXT must be one of {', '.join(CONTEXTS)}, got {self.context!r}"
            )
        if self.blind not in BLIND_SPOTS:
            raise ConfigError(
                f"NETWORK.STC.BLIND must be one of {', '.join(BLIND_SPOTS)}, got {self.blind!r}"
            )

    def bin_ranges(self) -> list[tuple[int, int]]:
        """Give (first, last) offset of every bin, in time's order; the centre frame is in none."""
        half = self.num_frames // 2
        after = [(t, t) for t in range(1, half + 1)]
        if self.context == "track":
            edges = [half + 1, *(e for e in FAR_EDGES if e > half + 1), WHOLE + 1]
            after += [(a, b - 1) for a, b in pairwise(edges)]
        return [(-b, -a) for a, b in reversed(after)] + after
