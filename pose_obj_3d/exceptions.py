"""Errors of `pose_obj_3d`. Each message says what was found, where, what is allowed, what to do."""


class PoseObj3DError(Exception):
    """Base of every error a user can cause; the entry points print it as one line and exit 2."""


class FormalError(PoseObj3DError):
    """A `sim_all_formal.npz` that is missing, broken, or of another version."""


class ConfigError(PoseObj3DError):
    """A config file or flag with an unknown key, a wrong type, or a value out of range."""


class CheckpointError(PoseObj3DError):
    """A checkpoint that is broken, or belongs to another model, config or data set."""


class DataError(PoseObj3DError):
    """Data that is well formed but cannot be learned from, such as fewer than two views."""


class TrainingError(PoseObj3DError):
    """Training cannot go on."""
