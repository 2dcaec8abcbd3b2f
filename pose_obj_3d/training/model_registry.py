"""Which model a config asks for: NETWORK.TYPE -> class and size.

A new model is one file in `models` and one entry in `MODELS`.
"""

from collections.abc import Callable

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.models.consensus.model import Stc
from pose_obj_3d.models.consensus.size import StcConfig
from pose_obj_3d.models.mht.model import MHT, MHTConfig
from pose_obj_3d.models.triangulation import Triangulation
from pose_obj_3d.training.config import NetworkConfig


def _stc(network: NetworkConfig, num_keypoints: int, rig: Rig) -> Model:
    size = network.STC
    return Stc(
        StcConfig(
            num_keypoints=num_keypoints,
            num_frames=network.TEMPORAL_LENGTH,
            context=size.CONTEXT,
            width=size.WIDTH,
            num_layers=size.NUM_LAYERS,
            num_heads=size.NUM_HEADS,
            num_mixes=size.NUM_MIXES,
            dropout=network.DROPOUT,
            blind=size.BLIND,
        )
    )


def _triangulation(network: NetworkConfig, num_keypoints: int, rig: Rig) -> Model:
    return Triangulation(network.ESTIMATOR)


def _mht(network: NetworkConfig, num_keypoints: int, rig: Rig) -> Model:
    former, fusion, relation = network.T_FORMER, network.M_FORMER, network.ROT_MODEL
    return MHT(
        MHTConfig(
            num_keypoints=num_keypoints,
            num_frames=network.TEMPORAL_LENGTH,
            embedding=network.NUM_CHANNELS,
            width=former.NUM_CHANNELS,
            num_hypotheses=former.NUM_LAYERS,
            num_heads=former.NUM_HEADS,
            view_width=network.AFTER_MHF_DIM,
            view_layers=fusion.NUM_RELATION_LAYERS,
            view_block=network.TRANSFORM_DIM,
            relation=(relation.NUM_LAYERS, relation.NUM_CHANNELS),
            mask_self=fusion.MASK_SELF,
            mask_rate=network.MASK_RATE,
            confidence=network.CONFIDENCE_METHOD,
            dropout=network.DROPOUT,
            view_dropout=fusion.DROPOUT,
        )
    )


MODELS: dict[str, Callable[[NetworkConfig, int, Rig], Model]] = {
    "MHT": _mht,
    "STC": _stc,
    "triangulation": _triangulation,
}


def build_model(network: NetworkConfig, num_keypoints: int, rig: Rig) -> Model:
    """Build the model that NETWORK.TYPE names; it maps (Windows, Rig) to a `Prediction`."""
    if network.TYPE not in MODELS:
        raise ConfigError(
            f"NETWORK.TYPE {network.TYPE!r} is unknown; available: {', '.join(sorted(MODELS))}"
        )
    return MODELS[network.TYPE](network, num_keypoints, rig)
