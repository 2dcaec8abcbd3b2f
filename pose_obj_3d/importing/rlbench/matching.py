"""Says which numbers in the masks of different episodes are the same object.

CoppeliaSim numbers objects as they are loaded. Objects of the base scene so keep their numbers, and
those of the task move on by one shift each time the task is loaded anew.
"""

from collections import Counter
from collections.abc import Sequence


def shifts(numbers: Sequence[frozenset[int]]) -> list[int]:
    """Return what to add to the numbers of each episode's own objects, so that they agree.

    Args:
        numbers: Of each episode, of all objects that its masks show.

    Returns:
        One shift for each episode; see `renumbered`. 0 where all episodes have the same numbers.
    """
    own = own_numbers(numbers)
    reference = max(own, key=len, default=frozenset())
    found = []
    for mine in own:
        counts = Counter(a - b for a in reference for b in mine)
        counts[0] += 0  # so that it is there
        found.append(min(counts, key=lambda d: (-counts[d], abs(d))))
    return found


def own_numbers(numbers: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Return the numbers that not all episodes share."""
    if not numbers:
        return []
    shared = frozenset.intersection(*numbers)
    return [mine - shared for mine in numbers]


def renumbered(
    objects: Sequence[int], own: frozenset[int], shift: int, shared: frozenset[int]
) -> dict[int, int]:
    """Return the number of each object in its episode by its number in all of them.

    Args:
        objects: Numbers in the episode.
        own: Of them, and others, those that not all episodes share.
        shift: Of the episode.
        shared: Numbers that all episodes share. An object of its own that would get one of them is
            left out.
    """
    moved = {number + shift if number in own else number: number for number in objects}
    return {new: old for new, old in moved.items() if old not in own or new not in shared}
