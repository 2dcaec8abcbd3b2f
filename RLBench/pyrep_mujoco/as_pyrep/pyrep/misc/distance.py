"""Registered distances, which PyRep refuses too."""

from pyrep.errors import PyRepError


class Distance:
    """A registered pair of objects whose distance is measured."""

    def __init__(self, name_or_handle: str | int) -> None:
        """Refuse.

        Raises:
            PyRepError: always.
        """
        raise PyRepError(
            f"distance object {name_or_handle!r}: registered distances are not supported; call "
            "check_distance of an object"
        )
