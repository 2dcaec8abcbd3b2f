"""DeepLabCut and Lightning Pose: csv and HDF5 files, one for each view."""

from pathlib import Path

from pose_obj_3d.importing.tracks.readers import pandas_tables
from pose_obj_3d.importing.tracks.readers.csv_tables import (
    header_of,
    read_csv,
    scorer_and_coordinates,
)
from pose_obj_3d.importing.tracks.readers.dlc_metadata import with_metadata
from pose_obj_3d.importing.tracks.readers.tables import SCORE, view_of
from pose_obj_3d.importing.tracks.views import Found, Wanted

_TRACKER = "_tracker"
"""Networks of Lightning Pose have names such as `heatmap_tracker`."""


def is_lightning_pose(path: Path) -> bool:
    """Tell a csv file of Lightning Pose, or of the ensemble Kalman smoother on its files."""
    if not path.is_file():
        return False
    scorer, coordinates = scorer_and_coordinates(path)
    return bool(scorer) and (
        scorer.endswith(_TRACKER) or bool(coordinates - {"x", "y", SCORE, "set", ""})
    )


def is_deeplabcut(path: Path) -> bool:
    """Tell a csv or HDF5 file of DeepLabCut."""
    return path.is_file() and (bool(header_of(path)) or pandas_tables.knows(path))


def read_table(path: Path, wanted: Wanted) -> Found:
    """Read the tracks of one view; of whole images, where DeepLabCut says how it has cropped."""
    table = read_csv(path) if header_of(path) else pandas_tables.read_pandas(path)
    view, notes = with_metadata(view_of(table), table.columns[0][0])
    return Found((view,), notes=tuple(notes))
