"""Demonstrations as PerAct's fork of RLBench stores them: all variations in one folder."""

import pickle

import numpy as np
import pytest

from rlbench.backend import const, exceptions
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.utils import get_stored_demos
from tests.unit.rlbench.stored_demos.upstream_files import dumped, upstream_demo, write_episode

VARIATIONS = (3, 0, 7)


@pytest.fixture
def root(tmp_path):
    """Three episodes; their descriptions name their variation."""
    episodes = tmp_path / "close_jar" / "all_variations" / "episodes"
    for number, variation in enumerate(VARIATIONS):
        whole, classes = upstream_demo()
        del whole.num_reset_attempts
        whole.variation_number = 0  # what the generator leaves there
        for i, obs in enumerate(whole._observations):
            obs.ignore_collisions = np.array(float(i == 1))
        folder = episodes / f"episode{number}"
        write_episode(folder, dumped(whole, classes))
        (folder / const.VARIATION_NUMBER).write_bytes(pickle.dumps(variation))
        (folder / const.VARIATION_DESCRIPTIONS).write_bytes(
            pickle.dumps([f"close the jar {variation}"])
        )
    (episodes / ".DS_Store").touch()
    return tmp_path


def read(root, variation=-1):
    return get_stored_demos(
        -1, False, root, variation, "close_jar", ObservationConfig(), random_selection=False
    )


def test_each_episode_has_its_variation_and_descriptions(root):
    demos = read(root)
    assert [demo.variation for demo in demos] == list(VARIATIONS)
    assert [demo.variation_number for demo in demos] == list(VARIATIONS)
    for demo in demos:
        assert demo.descriptions == [f"close the jar {demo.variation}"]
        assert demo[2].misc["descriptions"] == demo.descriptions
        assert [obs.ignore_collisions for obs in demo] == [0.0, 1.0, 0.0]


def test_environments_read_them(root):
    env = Environment(dataset_root=str(root), obs_config=ObservationConfig())
    assert len(env.get_demos("close_jar", -1, variation_number=-1)) == 3


def test_a_task_reads_those_of_all_variations_and_begins_none_of_them(tmp_path):
    env = Environment(dataset_root=str(tmp_path), obs_config=ObservationConfig())
    try:
        task = env.get_task("reach_target")
        task.set_variation(-1)  # as PerAct's code asks for all stored demonstrations
        with pytest.raises(exceptions.TaskEnvironmentError, match="reach_target"):
            task.get_demos(-1, live_demos=False)
        with pytest.raises(exceptions.TaskEnvironmentError, match="variation -1 is out of range"):
            task.reset()
    finally:
        env.shutdown()


def test_a_variation_that_is_not_there_names_those_that_are(root):
    with pytest.raises(exceptions.TaskEnvironmentError, match="there are all_variations"):
        read(root, variation=2)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("VARIATION_NUMBER", pickle.dumps("3"), "is no number of a variation"),
        ("VARIATION_NUMBER", pickle.dumps(-2), "is no number of a variation"),
        ("VARIATION_NUMBER", b"", "is no pickle of plain values"),
        ("VARIATION_DESCRIPTIONS", pickle.dumps([1]), "is no list of descriptions"),
        ("VARIATION_DESCRIPTIONS", b"cos\nsystem\n(S'x'\ntR.", "os.system has no place"),
    ],
)
def test_damaged_files_are_one_line(root, name, content, why):
    path = root / "close_jar" / "all_variations" / "episodes" / "episode1" / getattr(const, name)
    path.write_bytes(content)
    with pytest.raises(exceptions.TaskEnvironmentError, match=why) as error:
        read(root)
    assert "\n" not in str(error.value)


def test_a_missing_number_is_one_line(root):
    folder = root / "close_jar" / "all_variations" / "episodes" / "episode1"
    (folder / const.VARIATION_NUMBER).unlink()
    with pytest.raises(exceptions.TaskEnvironmentError, match=r"variation_number\.pkl cannot be"):
        read(root)


def test_sentences_of_a_variation_are_read_where_they_are_sentences(tmp_path):
    whole, classes = upstream_demo()
    variation = tmp_path / "close_jar" / "variation2"
    write_episode(variation / "episodes" / "episode0", dumped(whole, classes))
    shared = variation / const.VARIATION_DESCRIPTIONS
    shared.write_bytes(pickle.dumps(["close it"]))
    demo = read(tmp_path, 2)[0]
    assert demo.descriptions == ["close it"]
    assert "descriptions" not in demo[0].misc
    shared.write_bytes(pickle.dumps(7))  # RLBench never reads it
    assert read(tmp_path, 2)[0].descriptions == []
