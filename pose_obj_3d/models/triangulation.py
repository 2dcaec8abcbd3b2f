"""No learning: the robust triangulation of the centre frame."""

from pose_obj_3d.models.blocks import Model, Prediction
from pose_obj_3d.windows import Rig, Windows


class Triangulation(Model):
    """(B, T, V, K, 2) tracks -> (B, K, 3): linear triangulation refined with the Huber loss."""

    def forward(self, windows: Windows, rig: Rig) -> Prediction:
        """Return the frame's own triangulation, or its nearest triangulated neighbour's."""
        return Prediction(windows.xyz[:, windows.centre])
