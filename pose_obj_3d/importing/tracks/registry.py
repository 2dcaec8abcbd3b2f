"""The readers of other tools' files. Which one reads a file is told by the file's content.

To add a reader, write a module in `readers/` and name it here. The first reader that knows a file
or a folder reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pose_obj_3d.importing.people import openpose, videopose3d
from pose_obj_3d.importing.tracks.readers import (
    anipose,
    rlbench_demo,
    rlbench_episodes,
    scorer_tables,
    sleap_analysis,
    sleap_labels,
)
from pose_obj_3d.importing.tracks.views import Found, Wanted


@dataclass(frozen=True)
class Reader:
    """Reads the files of one tool.

    Attributes:
        tool: Its name.
        files: What is read, in a few words, for messages.
        knows: Tells from its content whether a file or a folder is one of the tool's. It reads
            little, and raises nothing.
        read: Reads the file or the folder. A damaged one is a DataError of one line.
    """

    tool: str
    files: str
    knows: Callable[[Path], bool]
    read: Callable[[Path, Wanted], Found]


READERS: tuple[Reader, ...] = (
    Reader("Lightning Pose", "csv", scorer_tables.is_lightning_pose, scorer_tables.read_table),
    Reader("anipose", "session folder", anipose.knows, anipose.read_session),
    Reader("SLEAP", "analysis h5", sleap_analysis.knows, sleap_analysis.read_analysis),
    Reader("SLEAP", "slp", sleap_labels.knows, sleap_labels.read_labels),
    Reader("DeepLabCut", "csv, h5", scorer_tables.is_deeplabcut, scorer_tables.read_table),
    Reader(openpose.TOOL, openpose.FILES, openpose.knows, openpose.read),
    Reader("RLBench", "an episode's folder", rlbench_demo.knows, rlbench_demo.read_demo),
    Reader(
        "RLBench", "a folder of episodes", rlbench_episodes.knows, rlbench_episodes.read_episodes
    ),
    Reader(videopose3d.TOOL, videopose3d.FILES, videopose3d.knows, videopose3d.read),
)


def reader_of(path: Path) -> Reader | None:
    """Return the reader that knows a file or a folder, or None."""
    return next((reader for reader in READERS if reader.knows(path)), None)


def what_is_read() -> str:
    """List what is read, for messages."""
    return ", ".join(f"{reader.tool} ({reader.files})" for reader in READERS)
