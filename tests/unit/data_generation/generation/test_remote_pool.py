"""Giving episodes out to machines that may be lost, without a cluster."""

import socket
import sys
from types import SimpleNamespace

import pytest

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import ConfigError, DataGenerationError, StoreError
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.cluster import ray_cluster, remote_jobs, remote_pool
from data_generation.RLBench.generation.cluster.remote_jobs import MadeThere, Task, Work
from data_generation.RLBench.generation.cluster.remote_pool import RemotePool
from data_generation.RLBench.generation.episode_jobs import LOSSES, EpisodeJobs
from data_generation.RLBench.generation.episode_plan import TaskPlan
from data_generation.RLBench.generation.versions import versions
from data_generation.RLBench.generation.worker import Outcome, WorkerSettings
from data_generation.RLBench.generation.worker_pool import (
    WorkerDiedError,
    WorkerKilledError,
    WorkerLostError,
)
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation import fake_source
from tests.unit.data_generation.fake_source import make_episode
from tests.unit.data_generation.generated import generate

PLAN = {0: TaskPlan(0, 1, 6)}
FIRST = EpisodeKey(0, 0, 0)


class Machines:
    """An executor whose jobs end in the order in which they began, as `fate` says."""

    def __init__(self, fate, capacity=3):
        self.fate, self._capacity = fate, capacity
        self.tasks, self.most = [], 0

    def capacity(self):
        return self._capacity

    def submit(self, task):
        self.tasks.append(task)
        return len(self.tasks) - 1

    def ready(self, handles, seconds):
        self.most = max(self.most, len(handles))
        return [min(handles)] if self._capacity else []

    def result(self, handle):
        task = self.tasks[handle]
        return self.fate(task, sum(t.outcome.key == task.outcome.key for t in self.tasks[:handle]))


class NobodyHere:
    def close(self):
        pass


def done(task):
    outcome = Outcome(task.outcome.key, attempts=task.outcome.attempts + 1)
    return MadeThere(outcome, make_episode(outcome.key, CONFIG))


CONFIG = DatasetConfig("x", obs_dim=(12, 16, 3), cams=(), track_cams=("left",))


@pytest.fixture
def store(tmp_path):
    made = RawStore(tmp_path / "d")
    made.create(7, {})
    yield made
    made.close()


def outcomes(store, machines):
    """Run six episodes; give what became of them."""
    jobs = EpisodeJobs(PLAN, {}, None, 10, str)
    results = {}
    for answer in RemotePool(machines, NobodyHere(), store, "sent").run(jobs, worker.make_episode):
        outcome = jobs.died(answer.job, answer.died) if answer.died else answer.result
        if outcome is not None:
            results[outcome.key] = outcome
    return results


def test_what_is_sent_is_written_here(store):
    machines = Machines(lambda task, before: done(task))
    results = outcomes(store, machines)
    assert all(o.is_done and o.n_frames for o in results.values())
    assert store.episodes(0) == sorted(results) == list(PLAN[0])
    assert machines.most == 3
    assert [t.outcome.key for t in machines.tasks] == list(PLAN[0])


def test_a_lost_machine_costs_what_it_was_making(store, caplog):
    def fate(task, before):
        if task.outcome.key.example < 3 and not before:
            raise WorkerLostError("its machine left the cluster")
        return done(task)

    results = outcomes(store, Machines(fate))
    assert all(o.is_done and o.attempts == 1 for o in results.values())
    assert "its machine left the cluster; it is tried again" in caplog.text


@pytest.mark.parametrize(("kind", "most"), [(WorkerLostError, LOSSES), (WorkerKilledError, 3)])
def test_an_episode_that_ends_every_machine_is_given_up(store, kind, most):
    def fate(task, before):
        if task.outcome.key == FIRST:
            raise kind("gone")
        return done(task)

    machines = Machines(fate)
    results = outcomes(store, machines)
    assert results.pop(FIRST).failures == {"gone": 1}
    assert sum(t.outcome.key == FIRST for t in machines.tasks) == most
    assert all(o.is_done for o in results.values())


def test_a_crash_there_is_repeated_from_where_it_was(store):
    """The third attempt crashes twice: it counts as failed, and the fourth one is made."""

    def fate(task, before):
        if task.outcome.key == FIRST and before < 2:
            return MadeThere(told=Outcome(FIRST, attempts=3), died=WorkerDiedError("SIGSEGV"))
        return done(task)

    machines = Machines(fate)
    results = outcomes(store, machines)
    assert [t.outcome.attempts for t in machines.tasks if t.outcome.key == FIRST] == [0, 2, 3]
    assert results[FIRST].attempts == 4


def test_an_error_there_ends_the_run(store):
    fault = StoreError("the disk is full")
    with pytest.raises(StoreError, match="the disk is full"):
        outcomes(store, Machines(lambda task, before: MadeThere(raised=fault)))


def test_a_cluster_without_machines_ends_the_run(store, monkeypatch):
    monkeypatch.setattr(remote_pool, "LOST_S", 0.05)
    with pytest.raises(DataGenerationError, match="no machine of the cluster has had room"):
        outcomes(store, Machines(lambda task, before: done(task), capacity=0))


# ---- the folder on another machine --------------------------------------------------------------


def test_a_folder_is_known_by_its_token(store, tmp_path):
    token = store.folder.show_token()
    other = RawStore(store.root).folder
    assert other.meet(token) == store.folder.identity
    other.check_own()
    assert RawStore(store.root).folder.meet("f" * 32) is None
    assert RawStore(tmp_path / "nowhere").folder.meet(token) is None
    other.close()
    store.close()
    assert (store.root / ".lock").read_bytes() == b""
    assert RawStore(store.root).folder.meet(token) is None


@pytest.mark.slow
def test_a_machine_writes_or_sends(store, monkeypatch):
    """What runs on a machine, in this process."""
    settings = WorkerSettings(
        fake_source.open_source, CONFIG, RawStore(store.root), fake_source.SEED, 10
    )
    work, token = Work(settings, 60.0), store.folder.show_token()
    monkeypatch.setattr(remote_jobs._Here, "pool", None)
    monkeypatch.setattr(remote_jobs._Here, "folder", None)
    one, two = EpisodeKey(0, 0, 0), EpisodeKey(0, 1, 0)
    made = remote_jobs.make(work, Task(Outcome(one), token, "auto"))
    assert made.outcome is not None
    assert made.episode is None
    assert store.episodes(0) == [one]
    sent = remote_jobs.make(work, Task(Outcome(two), "another", "auto"))
    assert sent.outcome is not None
    assert sent.episode is not None
    worker.write(store, sent.outcome, sent.episode, "task 0")
    assert sent.outcome.is_done
    refused = remote_jobs.make(work, Task(Outcome(two), "another", "shared"))
    assert "is not the same folder on all machines" in str(refused.raised)
    remote_jobs._Here.pool.close()


# ---- bad input ----------------------------------------------------------------------------------


def test_ray_is_not_installed(tmp_path, write_config, capsys, monkeypatch):
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda name: None)
    assert generate(tmp_path / "d", write_config(), "--ray", "auto") == 2
    line = capsys.readouterr().err.strip()
    assert line == "generate_data.py: --ray: package ray is not installed; pip install '.[ray]'"
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("address", "environment", "message"),
    [
        ("auto", {}, "no cluster runs on this machine and RAY_ADDRESS is not set"),
        ("auto", {"RAY_ADDRESS": "nonsense"}, "'nonsense' is no address"),
        ("node1", {}, "it must be auto or HOST:PORT"),
        ("ray://node1:10001", {}, "it must be auto or HOST:PORT"),
        ("node1:99999", {}, "it must be auto or HOST:PORT"),
        ("127.0.0.1:1", {}, "no cluster answers at 127.0.0.1:1: Connection refused"),
        ("no-such-machine.invalid:6379", {}, "no cluster answers at no-such-machine"),
    ],
)
def test_addresses_without_a_cluster(monkeypatch, address, environment, message):
    monkeypatch.setattr(ray_cluster, "_local_cluster", lambda environment: "")
    with pytest.raises(ConfigError, match=message):
        ray_cluster.find_address(address, environment)


def test_the_cluster_of_this_machine_is_found(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray/ray_current_cluster").write_text(address)
        found = ray_cluster.find_address("auto", {"RAY_TMPDIR": str(tmp_path)})
    assert found == address


def test_something_else_answers(monkeypatch):
    monkeypatch.setattr(ray_cluster, "HEALTH_S", 0.0)
    with pytest.raises(ConfigError, match="is no Ray cluster, or hangs"):
        ray_cluster.check_ray_answers("127.0.0.1:1")


class FakeRay:
    """What `RayCluster` asks Ray for: two machines, and what a look at each gives."""

    class exceptions:  # noqa: N801 - as Ray names it
        class RayError(Exception):
            pass

        class GetTimeoutError(RayError):
            pass

    def __init__(self, answers):
        self._answers = answers

    def nodes(self):
        return [
            {
                "Alive": True,
                "NodeID": str(n),
                "Resources": {"CPU": 1},
                "NodeManagerHostname": f"node{n}",
                "NodeManagerAddress": f"10.0.0.{n}",
            }
            for n in range(len(self._answers))
        ]

    def remote(self, function):
        return self

    def options(self, scheduling_strategy, **_):
        self._asked = scheduling_strategy
        return SimpleNamespace(remote=lambda *args, n=int(self._asked): n)

    def wait(self, looks, **_):
        return looks, []

    def get(self, look, timeout):
        answer = self._answers[look]
        if isinstance(answer, Exception):
            raise answer
        return answer


HERE = versions()
SOUND = remote_jobs.Machine(HERE, (), True)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (remote_jobs.Machine(HERE, ("mujoco",), True), "lacks the package mujoco.*pip install"),
        (
            remote_jobs.Machine({**HERE, "numpy": "0.1"}, (), True),
            "has numpy 0.1, this one has .*install the same on all machines",
        ),
        (remote_jobs.Machine(HERE, (), False), "does not see .*--ray_results auto"),
        (ImportError("No module named 'data_generation'"), "cannot load this program from"),
        (FakeRay.exceptions.GetTimeoutError(), "says nothing for"),
    ],
    ids=["no package", "other version", "folder not shared", "no clone", "silent"],
)
def test_a_machine_that_cannot_do_the_work_is_one_line(tmp_path, monkeypatch, second, message):
    strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, strategies)
    cluster = object.__new__(ray_cluster.RayCluster)
    cluster._ray, cluster._gpus = FakeRay([SOUND, second]), 0.0
    cluster._wanted = ray_cluster.Wanted("auto", 1, None, None, makes_images=False)
    with pytest.raises(ConfigError, match=f"machine node1 .10.0.0.1. {message}") as found:
        cluster.check_machines(tmp_path / "d", remote_jobs.SHARED)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 500
    assert list(tmp_path.iterdir()) == []


def test_machines_that_do_not_see_the_folder_may_send(tmp_path, monkeypatch):
    strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, strategies)
    cluster = object.__new__(ray_cluster.RayCluster)
    cluster._ray, cluster._gpus = FakeRay([SOUND, remote_jobs.Machine(HERE, (), False)]), 0.0
    cluster._wanted = ray_cluster.Wanted("auto", 1, None, None, makes_images=False)
    assert cluster.check_machines(tmp_path, remote_jobs.AUTO) == ["node1 (10.0.0.1)"]


def test_an_empty_folder_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "mujoco_left_over").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(remote_jobs, "NEEDED", ("mujoco_left_over", "not_there", "json"))
    assert remote_jobs.look(str(tmp_path)).lacks == ("mujoco_left_over", "not_there")


@pytest.mark.parametrize(
    "flags",
    [
        ("--ray", "auto", "--shard", "0/2"),
        ("--ray", "auto", "--finish"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path, write_config, capsys, flags):
    assert generate(tmp_path / "d", write_config(), *flags) == 2
    assert "--ray divides the work itself" in capsys.readouterr().err
