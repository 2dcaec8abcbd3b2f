"""What a message says of a name that is not there."""

import difflib
from collections.abc import Iterable

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
    near = difflib.get_close_matches(name, names, NEAREST, cutoff=0.4) or names[:NEAREST]
    return f"it has {len(names)}, such as {', '.join(near)}"
