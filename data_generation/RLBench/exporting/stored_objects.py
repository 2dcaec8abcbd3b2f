"""Pickles of objects whose classes are RLBench's own: they are named, not imported.

RLBench of any version, and NumPy 1 and 2, read them. The same objects give the same bytes.
"""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

PROTOCOL = 4
_NEW_NUMPY, _OLD_NUMPY = "numpy._core.", "numpy.core."


@dataclass
class StoredObject:
    """An object to be: where its class is, and its attributes."""

    module: str
    name: str
    attributes: Mapping[str, Any]


_Pickler: Any = pickle._Pickler


class _Writer(_Pickler):  # type: ignore[misc]
    """Python's own pickler, with one more kind of object."""

    dispatch: ClassVar[dict[Any, Any]] = dict(_Pickler.dispatch)

    def _save_stored(self, given: StoredObject) -> None:
        self.write(pickle.GLOBAL + f"{given.module}\n{given.name}\n".encode())
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        self.memoize(given)
        self.save(dict(given.attributes))
        self.write(pickle.BUILD)

    dispatch[StoredObject] = _save_stored

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Name what NumPy 2 moved as NumPy 1 does; both find it."""
        module = str(getattr(obj, "__module__", ""))
        if module.startswith(_NEW_NUMPY):
            old = module.replace(_NEW_NUMPY, _OLD_NUMPY, 1)
            self.write(pickle.GLOBAL + f"{old}\n{obj.__qualname__}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch[type(lambda: None)] = save_global


def pickled(value: Any) -> bytes:
    """Give the bytes of a pickle; `StoredObject` may be anywhere inside."""
    buffer = io.BytesIO()
    _Writer(buffer, protocol=PROTOCOL).dump(value)
    return buffer.getvalue()
