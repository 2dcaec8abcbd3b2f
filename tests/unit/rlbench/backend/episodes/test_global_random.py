"""Tasks draw from the global generators and leave the caller's numbers alone; fresh seeds."""

import json
import multiprocessing
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlbench.backend.episodes.global_random import GlobalRandom, fresh_seed
from rlbench.backend.exceptions import DemoError, TaskEnvironmentError, TaskFileError
from rlbench.checkout.check_names import main as check_names
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.tools.task_validator import validate
from tests.unit.rlbench.checkout.checkout_files import REACH, write_checkout, write_task

ROOT = Path(__file__).parents[5]


def draws():
    """Draw from the global generators, a normal number among others."""
    legacy = np.random
    return [legacy.rand(), legacy.randn(), random.random(), random.gauss(0, 1)]  # noqa: S311


@pytest.fixture(autouse=True)
def _keep(monkeypatch):
    """Leave the generators of the tests' process as they were, and take task files of checkouts."""
    for name in ("RLBENCH_ROOT", "RLBENCH_TASKS_FROM"):
        monkeypatch.delenv(name, raising=False)
    with GlobalRandom():
        yield


def seed_by_hand(seed):
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    np.random.randn()  # noqa: NPY002 - half of a pair: the generator keeps the other one


def check_untouched(act):
    """Check that the global generators go on as if `act` had not been."""
    seed_by_hand(7)
    wanted = draws()
    seed_by_hand(7)
    before = json.dumps(np.random.get_state(legacy=False), default=np.ndarray.tolist)  # noqa: NPY002
    act()
    after = json.dumps(np.random.get_state(legacy=False), default=np.ndarray.tolist)  # noqa: NPY002
    assert before == after
    assert draws() == wanted


@pytest.fixture
def load():
    made = []

    def start(name="reach_target", **options):
        config = ObservationConfig(track_cams=(), keypoints=("waypoints",))
        env = Environment(obs_config=config, **options)
        env.launch()
        made.append(env)
        return env.get_task(name)

    yield start
    for env in made:
        env.shutdown()


DRAWS_EVERYWHERE = (
    REACH.replace(
        "from typing import List\n",
        "from typing import List\nimport random\nnp_seeded = __import__('numpy').random.seed(4)\n"
        "random.seed(4)\n",
    )
    + """
    def draw(self):
        self.drawn = getattr(self, 'drawn', ()) + (np.random.rand(), random.random())

    def step(self):
        self.draw()

    def reward(self):
        self.draw()
        return float(np.random.rand())

    def get_low_dim_state(self):
        self.draw()
        return np.array([np.random.rand()])

    def base_rotation_bounds(self):
        np.random.seed(5)
        random.seed(5)
        return super().base_rotation_bounds()

    def variation_count(self):
        random.random()
        return np.random.randint(20, 21)
"""
)


@pytest.fixture
def drawing(tmp_path):
    root = write_checkout(tmp_path / "checkout")
    write_task(root, "reach_target", DRAWS_EVERYWHERE)
    return root


def test_nothing_that_a_task_does_disturbs_the_caller(drawing, load):
    options = {"rlbench_root": drawing, "shaped_rewards": True}
    check_untouched(lambda: load(**options))
    task = load(**options)
    check_untouched(task.variation_count)
    for seed in (3, None):
        task.seed(seed)
        check_untouched(task.sample_variation)
        check_untouched(task.reset)
        check_untouched(lambda: task.step(np.zeros(8)))
        check_untouched(task.get_observation)
        check_untouched(lambda: task.get_demos(1))
    demo = task.get_demo(0, 0)
    check_untouched(lambda: task.reset_to_demo(demo))
    check_untouched(
        lambda: validate("reach_target", 1, every_variation=False, rlbench_root=drawing)
    )
    check_untouched(lambda: check_names(["reach_target", "--rlbench_root", str(drawing)]))


@pytest.mark.parametrize("name", ["reach_target", "pick_and_lift"])
def test_built_in_tasks_do_not_disturb_the_caller(load, name):
    check_untouched(lambda: load(name))
    task = load(name)
    check_untouched(task.sample_variation)
    check_untouched(task.reset)
    check_untouched(lambda: task.step(np.zeros(8)))
    check_untouched(lambda: task.get_demos(1))


def test_gymnasium_does_not_disturb_the_caller():
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("rlbench.gym")

    def play():
        env = gymnasium.make("rlbench/reach_target-state-v0")
        env.reset()
        env.step(np.zeros(8, np.float32))
        env.reset(seed=1)
        env.close()

    check_untouched(play)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("def init_task(self): np.random.rand(); random.random(); 1 / 0", TaskFileError),
        ("def init_episode(self, index): np.random.seed(1); random.seed(1); 1 / 0", TaskFileError),
        ("def step(self): np.random.rand(); random.random(); raise ValueError('x')", DemoError),
        ("def success(self): np.random.seed(2); random.seed(2); exit()", DemoError),
        ("1 / (np.random.seed(3), random.seed(3), 0)[2]", TaskFileError),
    ],
)
def test_what_a_task_raises_leaves_the_caller_undisturbed(tmp_path, load, line, kind):
    root = write_checkout(tmp_path / "checkout")
    write_task(root, "reach_target", f"import random\n{REACH}\n    {line}\n")

    def fail():
        with pytest.raises(kind):
            load(rlbench_root=root).get_demo(0, 0)

    check_untouched(fail)


def test_an_interrupt_leaves_the_caller_undisturbed(load):
    task = load()

    def interrupt(_):
        draws()
        raise KeyboardInterrupt

    def fail():
        with pytest.raises(KeyboardInterrupt):
            task.get_demo(0, 0, on_observation=interrupt)

    check_untouched(fail)


def test_functions_of_the_user_draw_their_own_numbers(drawing, load):
    task = load(rlbench_root=drawing)
    task.seed(3)
    plain = task.get_demos(1)[0]
    seen, other = [], load(rlbench_root=drawing)

    def noisy(_):
        seen.append(draws())
        if len(seen) == 5:
            other.reset()

    seed_by_hand(7)
    task.seed(3)
    demo = task.get_demos(1, callable_each_step=noisy)[0]
    after = draws()
    assert len(seen) == len(demo)
    seed_by_hand(7)
    assert [*seen, after] == [draws() for _ in range(len(seen) + 1)]
    assert all(
        np.array_equal(a.task_low_dim_state, b.task_low_dim_state)
        for a, b in zip(plain, demo, strict=True)
    )


def test_steps_repeat_with_the_seed_whatever_the_caller_draws(drawing, load):
    task = load(rlbench_root=drawing)
    runs = []
    for caller in (1, 2):
        task.seed(5)
        task.reset()
        seed_by_hand(caller)
        states = []
        for _ in range(3):
            draws()
            states.append(task.step(np.zeros(8))[0].task_low_dim_state[0])
        runs.append(states)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 3


def test_the_context_can_be_entered_again_and_goes_on():
    lent = GlobalRandom(11)
    with lent:
        first = draws()
        with lent:
            second = draws()
    with lent:
        third = draws()
    np.random.seed(11)  # noqa: NPY002
    random.seed(11)
    assert [first, second, third] == [draws() for _ in range(3)]


# ---- seeds --------------------------------------------------------------------------------


def test_unseeded_episodes_and_demonstrations_differ_and_can_be_repeated(load):
    one, two = load(), load()
    demos = [*one.get_demos(2), *two.get_demos(1)]
    seeds = [demo.random_seed[0] for demo in demos]
    for task in (one, one, two):
        task.reset()
        seeds.append(task.random_seed[0])
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    two.seed(demos[1].random_seed[0])
    again = two.get_demos(1)[0]
    assert np.array_equal(again[-1].joint_positions, demos[1][-1].joint_positions)
    two.seed(seeds[3])
    _, obs = two.reset()
    one.seed(seeds[3])
    assert np.array_equal(obs.task_low_dim_state, one.reset()[1].task_low_dim_state)
    one.seed(None)
    one.reset()
    assert one.random_seed[0] not in seeds


def test_a_seed_of_numpy_gives_the_same_episodes_in_their_order(load):
    def three():
        np.random.seed(3)  # noqa: NPY002
        task = load()
        task.reset()
        first = task.random_seed
        return [first, *(demo.random_seed for demo in task.get_demos(2))]

    runs = [three(), three()]
    assert runs[0] == runs[1]
    assert len({seeds[0] for seeds in runs[0]}) == 3


def test_fresh_seeds_follow_numpys_state():
    def after(seed, *acts):
        np.random.seed(seed)  # noqa: NPY002
        for act in acts:
            act()
        return fresh_seed()

    one = after(3)
    assert after(3) == one
    assert after(3, fresh_seed) != one
    assert after(3, fresh_seed) == after(3, fresh_seed)
    assert after(3, draws) not in {one, after(4)}
    assert after(3, draws) == after(3, draws)


def test_fresh_seeds_without_a_seed_come_from_entropy():
    assert len({fresh_seed() for _ in range(100)}) == 100


SCRIPT = """
import sys
import numpy as np
from rlbench.environment import Environment
if sys.argv[1:]:
    np.random.seed(int(sys.argv[1]))
env = Environment()
env.launch()
task = env.get_task("reach_target")
task.sample_variation()
task.reset()
print(task.random_seed, np.random.rand(), task.get_demos(1)[0].random_seed)
"""


def script(*arguments):
    command = [sys.executable, "-c", SCRIPT, *arguments]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=_environment()
    )
    return run.stdout


def _environment():
    import os  # noqa: PLC0415

    return {**os.environ, "PYTHONPATH": str(ROOT / "RLBench"), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_processes_differ_unless_numpy_is_seeded():
    seeded, *others = (script("3"), script(), script())
    assert len({seeded, *others}) == 3
    assert script("3") == seeded
    np.random.seed(3)  # noqa: NPY002
    assert f" {np.random.rand()} " in seeded  # noqa: NPY002


def _seeds_of_a_worker(results, reseed):
    if reseed is not None:
        np.random.seed(reseed)  # noqa: NPY002
    results.put([fresh_seed(), fresh_seed()])


@pytest.mark.parametrize(("parent", "reseed", "kinds"), [(None, None, 2), (3, None, 2), (3, 5, 1)])
def test_forked_workers_differ_unless_they_are_seeded(parent, reseed, kinds):
    if parent is None:
        module = "tests.unit.rlbench.backend.episodes.test_global_random"
        code = f"import {module} as t; print(len(t.forked(None)))"
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=_environment(),
        )
        assert run.stdout.strip() == "2"
        return
    np.random.seed(parent)  # noqa: NPY002
    assert len(forked(reseed)) == kinds


def forked(reseed):
    """Return the different seeds that two forked workers get."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    workers = [context.Process(target=_seeds_of_a_worker, args=(results, reseed)) for _ in range(2)]
    for worker in workers:
        worker.start()
    seeds = [tuple(results.get()) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(one != two for one, two in seeds)
    return set(seeds)


@pytest.mark.parametrize("wrong", [-1, 0.5, "3", True, [1]])
def test_what_is_no_seed_is_one_line(load, wrong):
    with pytest.raises(TaskEnvironmentError, match="a seed is a whole number of at least 0"):
        load().seed(wrong)


def test_gymnasium_is_unseeded_until_it_is_seeded():
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("rlbench.gym")

    def first_seeds():
        env = gymnasium.make("rlbench/reach_target-state-v0")
        seeds = []
        for _ in range(2):
            env.reset()
            seeds.append(env.unwrapped.rlbench_task_env.random_seed[0])
        told = env.unwrapped.np_random_seed
        env.reset(seed=told)
        assert env.unwrapped.rlbench_task_env.random_seed[0] == seeds[0]
        env.close()
        return seeds

    np.random.seed(3)  # noqa: NPY002
    one, other = first_seeds(), first_seeds()
    assert len({*one, *other}) == 4
    np.random.seed(3)  # noqa: NPY002
    assert [first_seeds(), first_seeds()] == [one, other]
