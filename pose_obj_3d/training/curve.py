"""The figure of a training: its loss, and the value that chooses the epoch."""

from matplotlib.figure import Figure

from pose_obj_3d.common.colours import colour


def curve_figure(history: list[dict[str, float]], criterion: str, best_epoch: int) -> Figure:
    """Draw the training loss and the value that chooses the epoch."""
    figure = Figure(figsize=(6.6, 3.4), layout="constrained")
    epochs = range(1, len(history) + 1)
    for i, name in enumerate(("train/loss", criterion)):
        axes = figure.add_subplot(1, 2, i + 1)
        axes.plot(epochs, [h[name] for h in history], color=colour(i))
        axes.set(xlabel="epoch", title=name)
        axes.grid(alpha=0.3)
        if name == criterion and best_epoch:
            axes.axvline(
                best_epoch, color="black", lw=0.8, ls="--", label=f"best: epoch {best_epoch}"
            )
            axes.legend()
    return figure
