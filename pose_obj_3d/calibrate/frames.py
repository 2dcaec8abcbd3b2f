"""Pictures of each camera, in step: frames of videos, or files in order of their numbers."""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError, DataError

Image = npt.NDArray[np.uint8]
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv")
_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)")


@dataclass(frozen=True)
class Source:
    """What one camera has recorded.

    Attributes:
        name: Name of the camera.
        files: One video, or pictures.
        numbers: Number of each picture that is the same in all cameras; 0, 1, ... of a video.
    """

    name: str
    files: tuple[Path, ...]
    numbers: tuple[int, ...]

    @property
    def is_video(self) -> bool:
        """Whether it is a video."""
        return self.files[0].suffix.lower() in VIDEOS

    def read(self, wanted: Sequence[int]) -> Iterator[tuple[int, Image]]:
        """Give grey pictures (H, W) of the numbers wanted, in ascending order, one at a time.

        Raises:
            DataError: A file cannot be read.
        """
        if self.is_video:
            yield from _video(self.files[0], wanted)
            return
        place = dict(zip(self.numbers, self.files, strict=True))
        for number in (n for n in wanted if n in place):
            image = cv2.imread(str(place[number]), cv2.IMREAD_GRAYSCALE)
            if image is None:
                raise DataError(
                    f"{place[number]}: is no picture that can be read, or damaged; remove it or"
                    " record it again"
                )
            yield number, np.asarray(image, np.uint8)


def _video(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, Image]]:
    capture = cv2.VideoCapture(str(path))
    at = 0
    try:
        for number in wanted:
            while at < number and capture.grab():
                at += 1
            is_read, image = capture.read() if at == number else (False, None)
            if not is_read or image is None:
                if at == 0:
                    raise _unreadable(path)
                return  # the file says that it has more frames than it has
            at += 1
            grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            yield number, np.asarray(grey, np.uint8)
    finally:
        capture.release()


def _unreadable(path: Path) -> DataError:
    return DataError(
        f"{path}: is no video that can be read, or damaged; check that it plays, or convert it"
        " (ffmpeg -i old new.mp4)"
    )


def sources_of(cameras: Sequence[str], folder: Path | None) -> list[Source]:
    """Find the recordings.

    Args:
        cameras: Each `NAME=path`: a video, a folder of pictures, or a pattern of files.
        folder: Instead: a folder with a sub-folder of pictures or a video for each camera.

    Raises:
        ConfigError: The cameras are not named so.
        DataError: A recording is not there, or empty.
    """
    if (folder is None) == (not cameras):
        raise ConfigError(
            "name the recordings: --camera NAME=PATH once for each camera, or one FOLDER with a"
            " video or a sub-folder of pictures for each camera"
        )
    named = [_named(text) for text in cameras] if folder is None else _in_folder(folder)
    names = [name for name, _ in named]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ConfigError(f"--camera {name}: is given twice; give each camera another name")
    sources = [_source(name, path) for name, path in named]
    if len({source.is_video for source in sources}) > 1:
        raise ConfigError(
            "some cameras have videos, others pictures; frames of them cannot be matched: give all"
            " videos, or all pictures"
        )
    return sources


def _named(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not (name.strip() and separator and path.strip()):
        raise ConfigError(
            f"--camera {text[:80]!r}: allowed: NAME=PATH, such as --camera left=left.mp4 or"
            " --camera left='pictures/left*.png'"
        )
    return name.strip(), path.strip()


def _in_folder(folder: Path) -> list[tuple[str, str]]:
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; name one with a recording for each camera")
    found = [
        (path.name if path.is_dir() else path.stem, str(path))
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
        and (path.suffix.lower() in VIDEOS or (path.is_dir() and _pictures(path)))
    ]
    if not found:
        raise DataError(
            f"{folder}: holds no video and no sub-folder of pictures; put one there for each"
            f" camera ({', '.join(VIDEOS[:4])}, ...; {', '.join(PICTURES[:3])}, ...)"
        )
    return found


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)


def _source(name: str, text: str) -> Source:
    path = Path(text)
    if path.is_dir():
        files = _pictures(path)
    elif path.is_file():
        files = [path]
    else:
        files = sorted(Path(p) for p in glob.glob(text))  # noqa: PTH207 - a pattern may be absolute
        files = [p for p in files if p.suffix.lower() in (*PICTURES, *VIDEOS)]
    if not files:
        raise DataError(
            f"--camera {name}: {text} holds no picture and no video; name a video, a folder of"
            " pictures, or a pattern in quotes"
        )
    is_video = [p.suffix.lower() in VIDEOS for p in files]
    if is_video[0] and len(files) == 1:
        return Source(name, (files[0],), tuple(range(_frames(files[0]))))
    if any(is_video):
        raise DataError(
            f"--camera {name}: {text} holds {sum(is_video)} videos among {len(files)} files; name"
            " one video, or pictures"
        )
    if files[0].suffix.lower() not in PICTURES:
        raise DataError(
            f"--camera {name}: {files[0]} is neither a picture ({', '.join(PICTURES[:4])}, ...) nor"
            f" a video ({', '.join(VIDEOS[:4])}, ...)"
        )
    numbers = _numbers(files)
    order = sorted(range(len(files)), key=numbers.__getitem__)
    return Source(name, tuple(files[i] for i in order), tuple(numbers[i] for i in order))


def _frames(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    try:
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
    if count < 1:
        raise _unreadable(path)
    return count


def _numbers(files: Sequence[Path]) -> list[int]:
    """Give the last number in each file's name; the place in order where one has none."""
    found = [_LAST_NUMBER.search(file.stem) for file in files]
    numbers = [int(match[1]) for match in found if match]
    if len(numbers) == len(files) == len(set(numbers)):
        return numbers
    return list(range(len(files)))


def frames_to_read(sources: Sequence[Source], most: int) -> tuple[list[int], list[str]]:
    """Choose the numbers of frames to look at, evenly, and say what differs between cameras.

    Raises:
        DataError: The cameras have no frame in common.
    """
    common = set(sources[0].numbers).intersection(*(source.numbers for source in sources[1:]))
    counts = {source.name: len(source.numbers) for source in sources}
    everything = sorted({number for source in sources for number in source.numbers})
    if len(sources) > 1 and not common:
        raise DataError(
            "the pictures of the cameras have no number in common"
            f" ({', '.join(f'{s.name} {s.numbers[0]}-{s.numbers[-1]}' for s in sources)[:200]});"
            " number pictures of one moment alike"
        )
    notes = []
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} {count}" for name, count in counts.items())
        kind = "the first ones are taken as simultaneous" if sources[0].is_video else "by number"
        notes.append(
            f"the cameras have different numbers of frames: {text[:200]}; {len(common)} are common"
            f" ({kind})"
        )
    chosen = everything if len(everything) <= most else _evenly(sorted(common), most)
    return chosen, notes


def _evenly(numbers: Sequence[int], most: int) -> list[int]:
    places = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int)
    return [numbers[i] for i in sorted(set(places.tolist()))]
