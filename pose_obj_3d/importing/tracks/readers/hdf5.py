"""HDF5 files of others: opened with h5py, and read within limits.

Plain numbers and texts are read. Nothing is unpickled, no other file is followed, and no more is
unpacked than the file's size allows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.views import Floats

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_BYTES, MAX_RATIO = 64 << 20, 200
"""A data set may be as large as this, plus so many times the file's size: zeros pack well."""
_DAMAGE = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError)
Array = npt.NDArray[Any]


def is_hdf5(path: Path) -> bool:
    """Tell whether a file begins like HDF5."""
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def has(path: Path, *names: str) -> bool:
    """Tell whether an HDF5 file has all these members; False where that cannot be told."""
    if not is_hdf5(path):
        return False
    try:
        h5py = _h5py(path)
    except DataError:
        return False
    try:
        with h5py.File(path, "r") as file:
            return all(name in file for name in names)
    except _DAMAGE:
        return False


@contextmanager
def opened(path: Path) -> Iterator["Hdf5"]:
    """Open a file. What h5py finds damaged is a DataError of one line.

    Raises:
        DataError: The file is damaged, lacks something, or h5py is not installed.
    """
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            yield Hdf5(path, file, h5py)
    except _DAMAGE as error:
        said = " ".join(str(error).split())[:150]
        raise DataError(f"{path} is damaged ({said}); export it again") from None


class Hdf5:
    """The members of an open file, each checked before it is read."""

    def __init__(self, path: Path, file: Any, h5py: Any) -> None:
        """Keep what is open."""
        self.path, self._file, self._h5py = path, file, h5py
        self._limit = MAX_BYTES + MAX_RATIO * path.stat().st_size

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a member."""
        return name in self._file

    def names(self, group: str = "/") -> list[str]:
        """Return the names of what a group holds."""
        return [str(name) for name in self._file[group]]

    def array(self, name: str) -> Array:
        """Return a data set of numbers, texts or records.

        Raises:
            DataError: It is absent, lies in another file, or is too large.
        """
        found = self._member(name)
        size = int(np.prod(found.shape, dtype=np.float64)) * max(found.dtype.itemsize, 1)
        if size > self._limit:
            raise DataError(
                f"{self.path}: {name} would take {size / 2**20:.0f} MiB, in a file of"
                f" {self.path.stat().st_size / 2**20:.1f} MiB; it is damaged, or not what it seems"
            )
        return np.asarray(found[()])

    def floats(self, name: str, ndim: int) -> Floats:
        """Return a data set of numbers with so many axes as float64.

        Raises:
            DataError: It is something else.
        """
        found = self.array(name)
        if found.ndim != ndim or found.dtype.kind not in "fiu":
            raise DataError(
                f"{self.path}: {name} must hold numbers with {ndim} axes, found {found.dtype}"
                f" {found.shape}"
            )
        return found.astype(np.float64)

    def texts(self, name: str) -> list[str]:
        """Return a data set of texts."""
        return [as_text(x) for x in self.array(name).ravel()]

    def attribute(self, name: str, key: str) -> Any:
        """Return an attribute of a member, or None."""
        return self._file[name].attrs.get(key)

    def _member(self, name: str) -> Any:
        parts, at = [part for part in name.split("/") if part], self._file
        for part in parts:
            link = at.get(part, getlink=True)
            if not isinstance(link, self._h5py.HardLink):
                what = "is missing" if link is None else "lies in another file"
                raise DataError(f"{self.path}: {name} {what}; export it again")
            at = at[part]
        if not hasattr(at, "dtype") or at.is_virtual or at.external:
            raise DataError(f"{self.path}: {name} is no data set of its own; export it again")
        return at


def as_text(value: object) -> str:
    """Return a text that may be stored as bytes."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _h5py(path: Path) -> Any:
    try:
        import h5py  # noqa: PLC0415 - only needed for these files
    except ImportError:
        raise DataError(
            f"{path}: an HDF5 file needs the package h5py; install it:"
            " pip install -e '.[formats]', or export csv"
        ) from None
    return h5py
