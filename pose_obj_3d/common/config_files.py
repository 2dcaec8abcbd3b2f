"""Configs of trainings: read from YAML files and from checkpoints into a dataclass of sections."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pose_obj_3d.common import settings
from pose_obj_3d.common.errors import CheckpointError, ConfigError
from pose_obj_3d.common.safe_reading.plain_yaml import read_yaml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A config that was read from a file.

    Attributes:
        config: The config.
        given: The fields that the file sets, by full key.
        passed_over: Sections of the file that belong to nothing here.
    """

    config: T
    given: dict[str, settings.Field]
    passed_over: list[str]


def read_config(path: Path, kind: type[T], folder: str, others: Collection[str] = ()) -> Loaded[T]:
    """Read a YAML file; every fault is one ConfigError naming file, key and near match.

    Args:
        path: The file.
        kind: The dataclass of its sections.
        folder: Where such files are, for the message.
        others: Sections that are passed over.
    """
    try:
        raw = read_yaml(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); pass --cfg {folder}/<name>.yaml"
        ) from error
    if not isinstance(raw, dict):
        listed = ", ".join(settings.names(kind))
        raise ConfigError(f"{path}: must be a mapping of sections {listed}")
    passed_over = [key for key in others if key in raw]
    try:
        kept = {k: v for k, v in raw.items() if k not in passed_over}
        values, given = settings.read(kind, kept, settings.YAML)
        return Loaded(kind(**values), given, passed_over)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def config_of(path: Path, state: Mapping[str, Any], kind: type[T]) -> T:
    """Return the config that a checkpoint was made with; an unknown one is a CheckpointError.

    Keys that it lacks have their defaults.

    Args:
        path: The checkpoint, for the message.
        state: Its content.
        kind: The dataclass of the config.
    """
    try:
        values, _ = settings.read(kind, state["config"], settings.YAML)
        return kind(**values)
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: its config is damaged, or of another version: {error}"
        ) from error
