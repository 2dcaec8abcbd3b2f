"""Which episode: its task, example and variation."""

from dataclasses import dataclass

TEST_OFFSET = 1 << 62
"""Above the number of any example that can be asked for."""


@dataclass(frozen=True, order=True)
class EpisodeKey:
    """Which episode; sorts by example, then variation (variation fastest)."""

    task_id: int
    example: int
    variation: int

    def __str__(self) -> str:
        return f"task {self.task_id} variation {self.variation} example {self.example}"


def seed_example(mode: str, example: int) -> int:
    """Give the example number that enters seeds: those of train and test never meet."""
    return example + (TEST_OFFSET if mode == "test" else 0)
