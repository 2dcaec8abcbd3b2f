"""Test data are never training data."""

import itertools

import numpy as np

from data_generation.RLBench.raw.episode_key import seed_example
from data_generation.RLBench.raw.layout import MODES
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig

EXAMPLES = [0, 1, 2, 49, 999_999, 1_000_000, 1_000_001, 10**9, 2**31, 2**32, 2**40]


def test_no_test_example_has_the_number_of_a_training_example():
    numbers = [seed_example(mode, example) for mode in MODES for example in EXAMPLES]
    assert len(set(numbers)) == len(numbers)
    assert [seed_example("train", example) for example in EXAMPLES] == EXAMPLES
    assert min(seed_example("test", e) for e in EXAMPLES) > 2**60


def test_seeds_of_all_numbers_are_different():
    drawn = set()
    for mode, example, attempt, variation in itertools.product(MODES, EXAMPLES, range(3), range(3)):
        key = (9, variation, seed_example(mode, example), attempt)
        drawn.add(np.random.default_rng(np.random.SeedSequence(0, spawn_key=key)).bytes(16))
    assert len(drawn) == len(MODES) * len(EXAMPLES) * 9


def test_the_simulator_makes_other_episodes_for_tests():
    env = Environment(obs_config=ObservationConfig(track_cams=(), keypoints=("objects",)))
    env.launch()
    try:
        task = env.get_task("reach_target")
        starts = [task.get_demo(0, seed_example(mode, 1_000_000))[0] for mode in MODES]
        assert not np.allclose(starts[0].task_low_dim_state, starts[1].task_low_dim_state)
        again = task.get_demo(0, seed_example("test", 1_000_000))
        assert again.random_seed[3] == seed_example("test", 1_000_000)
        assert np.array_equal(
            again[0].task_low_dim_state, starts[MODES.index("test")].task_low_dim_state
        )
    finally:
        env.shutdown()
