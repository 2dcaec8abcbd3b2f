"""Registry of models: NETWORK.TYPE -> module. A new model is one file here and one line in `MODELS`."""

from collections.abc import Callable

from torch import nn

from pose_obj_3d.config import NETWORK_TYPES, NetworkConfig
from pose_obj_3d.exceptions import ConfigError
from pose_obj_3d.models.residual import Residual, ResidualConfig
from pose_obj_3d.models.stc import Stc, StcConfig
from pose_obj_3d.models.triangulation import Triangulation
from pose_obj_3d.windows import Rig


def _residual(network: NetworkConfig, num_keypoints: int, rig: Rig) -> nn.Module:
    size = network.RESIDUAL
    return Residual(
        ResidualConfig(
            num_keypoints=num_keypoints, num_frames=network.TEMPORAL_LENGTH, width=size.WIDTH,
            num_layers=size.NUM_LAYERS, num_heads=size.NUM_HEADS, dropout=network.DROPOUT,
        )
    )


def _stc(network: NetworkConfig, num_keypoints: int, rig: Rig) -> nn.Module:
    size = network.STC
    return Stc(
        StcConfig(
            num_keypoints=num_keypoints, num_frames=network.TEMPORAL_LENGTH, context=size.CONTEXT, width=size.WIDTH,
            num_layers=size.NUM_LAYERS, num_heads=size.NUM_HEADS, dropout=network.DROPOUT,
        )
    )


def _triangulation(network: NetworkConfig, num_keypoints: int, rig: Rig) -> nn.Module:
    return Triangulation()


MODELS: dict[str, Callable[[NetworkConfig, int, Rig], nn.Module]] = {
    "STC": _stc,
    "residual": _residual,
    "triangulation": _triangulation,
}


def build_model(network: NetworkConfig, num_keypoints: int, rig: Rig) -> nn.Module:
    """Build the model that NETWORK.TYPE names; it maps (Windows, Rig) to a `Prediction`."""
    if network.TYPE not in MODELS:
        later = "is reserved for the original's network and not part of this version" if (
            network.TYPE in NETWORK_TYPES
        ) else "is unknown"
        raise ConfigError(f"NETWORK.TYPE {network.TYPE!r} {later}; available: {', '.join(sorted(MODELS))}")
    return MODELS[network.TYPE](network, num_keypoints, rig)
