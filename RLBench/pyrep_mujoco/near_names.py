"""What a message says of a name that is not there."""

import difflib
from collections.abc import Iterable, Sequence

LISTED = 20
"""How many names a message lists whole."""
NEAREST = 5


def near_names(name: str, there: Iterable[str]) -> str:
    """Name those that are there, or the most similar ones where they are many."""
    names = sorted(there)
    if not names:
        return "it has none"
    if len(names) <= LISTED:
        return f"it has {', '.join(names)}"
    return f"it has {len(names)}, such as {', '.join(nearest(name, names))}"


def nearest(name: str, there: Sequence[str]) -> list[str]:
    """Return the most similar names, at most `NEAREST`; the first ones where none is similar."""
    return difflib.get_close_matches(name, there, NEAREST, cutoff=0.4) or list(there[:NEAREST])
