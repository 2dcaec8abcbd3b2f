"""TensorBoard log of a run: scalars with units, the resolved config as text, figures."""

import io
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # tensorboard's own imports warn about their dependencies
    from torch.utils.tensorboard import SummaryWriter


DPI = 110
# TensorBoard opens with the first group of tags in the order of the alphabet: this one.
OVERVIEW, IN_OVERVIEW = "an overview", ("training_curve", "errors")


class RunLog:
    """Writer of one run folder; also saves each figure as a picture."""

    def __init__(
        self,
        folder: Path,
        config_yaml: str,
        purge_step: int | None = None,
        is_silent: bool = False,
    ) -> None:
        """Open the log.

        Args:
            folder: The run folder, made if needed.
            config_yaml: The resolved config; written to `config.yaml` and as text.
            purge_step: Drop what a killed run had logged after this epoch.
            is_silent: Write nothing: another process writes this folder.
        """
        self.folder = folder
        self._writer: SummaryWriter | None = None
        if is_silent:
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(config_yaml, encoding="utf-8")
        self._writer = SummaryWriter(str(folder), purge_step=purge_step)
        self.text("config", "    " + config_yaml.replace("\n", "\n    "), 0)

    def scalars(self, values: dict[str, float], epoch: int) -> None:
        """Log scalars; the unit is the last word of the tag."""
        writer = self._writer
        if writer is None:
            return
        for name, value in values.items():
            writer.add_scalar(name, value, epoch)

    def text(self, tag: str, text: str, epoch: int) -> None:
        """Log Markdown."""
        if self._writer:
            self._writer.add_text(tag, text, epoch)

    def figure(self, name: str, figure: Figure, epoch: int) -> Path:
        """Log a figure and save it as `<name>.png`; returns the picture's path."""
        path = self.folder / f"{name}.png"
        if not self._writer:
            return path
        picture = _drawn(figure)
        imsave(path, picture)
        group = OVERVIEW if name in IN_OVERVIEW else "figures"
        self._writer.add_image(f"{group}/{name}", picture, epoch, dataformats="HWC")
        return path

    def close(self) -> None:
        """Flush and close."""
        if self._writer:
            self._writer.close()


def _drawn(figure: Figure) -> NDArray[np.uint8]:
    """Draw a figure, which takes most of the time of a log: once, to (height, width, 3)."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="rgba", dpi=DPI)
    height = int(figure.get_figheight() * DPI)
    return np.frombuffer(drawn.getvalue(), np.uint8).reshape(height, -1, 4)[..., :3]
