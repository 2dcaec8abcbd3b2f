"""What a view's video says of itself: frames a second, width and height."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pose_obj_3d.importing.tracks.views import ViewTracks

ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".m4v")
RATES = (1.0, 2000.0)  # what a container says outside is no frame rate of a camera


def with_video(view: ViewTracks, stems: Iterable[str], folders: Iterable[Path]) -> ViewTracks:
    """Take frame rate and image size from a view's video, where it is there.

    Args:
        view: The tracks.
        stems: Names that the video may have, without ending.
        folders: Where it may be.
    """
    names = list(dict.fromkeys(stems))
    for folder in folders:
        for name in names:
            for ending in ENDINGS:
                path = folder / f"{name}{ending}"
                if path.is_file():
                    return _with_facts(view, path)
    return view


def _with_facts(view: ViewTracks, path: Path) -> ViewTracks:
    import cv2  # noqa: PLC0415 - slow to load, and only needed where there is a video

    video = cv2.VideoCapture(str(path))
    try:
        fps = float(video.get(cv2.CAP_PROP_FPS))
        size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    finally:
        video.release()
    return replace(
        view,
        fps=fps if RATES[0] <= fps <= RATES[1] else view.fps,
        image_size=size if min(size) > 0 else view.image_size,
    )
