"""What a message says about an unknown name: which one was probably meant, or what there is."""

import difflib
from collections.abc import Iterable

MAX_COMPARED = 60  # characters of a name that may come from any file
MAX_LISTED = 240  # characters of all names that are allowed
FEW = 20  # names that are all listed


def near_names(name: object, allowed: Iterable[str], quote: str = "") -> str:
    """Say which allowed name was probably meant, or list them.

    Args:
        name: What was found.
        allowed: What could have been meant.
        quote: Is put around a name that was probably meant.
    """
    names = list(allowed)
    near = _nearest(name, names, 1, 0.6)
    if near:
        return f"did you mean {quote}{near[0]}{quote}?"
    listed = ", ".join(names)
    if len(listed) > MAX_LISTED:
        listed = listed[:MAX_LISTED].rpartition(",")[0] + ", ..."
    return f"allowed: {listed}"


def some_names(name: str, there: Iterable[str]) -> str:
    """List the names that there are; where they are many, only the most similar ones."""
    names = sorted(there)
    if not names:
        return "it has none"
    if len(names) <= FEW:
        return f"it has {', '.join(names)}"
    near = _nearest(name, names, 5, 0.4) or names[:5]
    return f"it has {len(names)}, such as {', '.join(near)}"


def _nearest(name: object, names: list[str], most: int, cutoff: float) -> list[str]:
    """Give the names most similar to `name`, whatever their case, the best first."""
    lower = {n.lower(): n for n in names}
    found = difflib.get_close_matches(str(name)[:MAX_COMPARED].lower(), list(lower), most, cutoff)
    return [lower[n] for n in found]
