"""TensorBoard log of a run: scalars with units, the resolved config as text, figures."""

import warnings
from pathlib import Path

from matplotlib.figure import Figure

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # tensorboard's own imports warn about their dependencies
    from torch.utils.tensorboard import SummaryWriter


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
        figure.savefig(path, dpi=110)
        group = OVERVIEW if name in IN_OVERVIEW else "figures"
        self._writer.add_figure(f"{group}/{name}", figure, epoch)
        return path

    def close(self) -> None:
        """Flush and close."""
        if self._writer:
            self._writer.close()
