"""Find the archive that a config names."""

from collections.abc import Sequence
from pathlib import Path

from pose_obj_3d.common.archive.shards import is_there, whole_path
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.formal import ARCHIVE_NAME, tasks_in
from pose_obj_3d.training.config import PACKAGE_DIR


def find_data(
    root_dir: str,
    config_path: Path,
    tasks: Sequence[int],
    detected: bool = False,
    key: str = "OBJ_POSE_DATA.ROOT_DIR",
) -> Path:
    """Resolve a config's archive, the value of `key`.

    A relative path is looked up from the config's folder, from `pose_obj_3d`, and from the working
    directory. In a folder, `sim_all_formal.npz` comes first, then the other archives by name: the
    first one that holds all of `tasks` is taken, with `detected` the first one that holds
    detections of them, if there is one.

    Raises:
        ConfigError: There is no such file or folder, or no archive of the folder holds the tasks.
    """
    given = Path(root_dir).expanduser()
    places = (
        [given]
        if given.is_absolute()
        else [config_path.resolve().parent / given, PACKAGE_DIR / given, given]
    )
    for place in places:
        if not place.is_dir() and is_there(place):
            return whole_path(place)
        archives = sorted(
            {whole_path(p) for p in place.glob("*.npz")},
            key=lambda p: (p.name != ARCHIVE_NAME, p.name),
        )
        if archives:
            with_detections = [
                path for path in archives if detected and set(tasks) <= set(tasks_in(path, True))
            ]
            return _first_with(with_detections or archives, tasks, config_path)
    looked = ", ".join(dict.fromkeys(str(p.resolve()) for p in places))
    how = "generate data, then run convert_data_to_3D_pose_estimation.sh"
    if detected:
        how = "docs/pixels.md says how to make an archive with detections"
    raise ConfigError(
        f"{config_path}: {key} {root_dir!r}: no such file (looked at {looked}); {how}"
    )


def _first_with(archives: list[Path], tasks: Sequence[int], config_path: Path) -> Path:
    held = {path: tasks_in(path) for path in archives}
    for path, there in held.items():
        if set(tasks) <= set(there):
            return path
    listed = "; ".join(f"{path.name} holds {_subjects(there)}" for path, there in held.items())
    raise ConfigError(
        f"{config_path}: no archive in {archives[0].parent} holds {_subjects(tasks)} together"
        f" ({listed}); generate and convert them, or change"
        " OBJ_POSE_DATA.SUBJECTS_TRAIN/SUBJECTS_TEST"
    )


def _subjects(tasks: Sequence[int]) -> str:
    return ", ".join(f"T{t}" for t in tasks) or "no tasks"
