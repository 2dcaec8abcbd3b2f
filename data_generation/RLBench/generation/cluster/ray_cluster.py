"""Episodes on a Ray cluster. The only file that imports Ray, and only when it is asked for."""

import importlib
import importlib.util
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from data_generation.RLBench.config import REPOSITORY
from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.generation.cluster import remote_jobs
from data_generation.RLBench.generation.cluster.remote_jobs import MadeThere, Task, Work
from data_generation.RLBench.generation.versions import versions
from data_generation.RLBench.generation.worker_pool import WorkerKilledError, WorkerLostError
from pose_obj_3d.common.whole_files import SUFFIX

AUTO = "auto"
CONNECT_S = 10.0  # for a machine to answer
HEALTH_S = 40.0  # for Ray's own check, which loads packages first
LOOK_S = 120.0  # for all machines to start a process and load packages
NODES_S = 5.0  # between two looks at which machines there are
QUEUE = 0.25  # jobs that wait for a worker, as a share of the workers: no worker waits for a job
PORT = 6379
PASSED_ON = ("MUJOCO_GL", "RLBENCH_ROOT", "RLBENCH_TASKS_FROM", "COPPELIASIM_ROOT")
_MODULE = remote_jobs.__name__


@dataclass(frozen=True)
class Wanted:
    """What is asked of a cluster.

    Attributes:
        address: `auto`, or host:port of its head.
        cpus: Of a worker; it renders with so many threads.
        gpus: Of a worker; None: where all machines have some, they are shared out.
        workers: At most so many; None: as many as fit.
        makes_images: Whether workers can use a GPU.
    """

    address: str
    cpus: int
    gpus: float | None
    workers: int | None
    makes_images: bool


class RayCluster:
    """An executor on Ray: an episode is a task, and Ray keeps the worker processes.

    Use it in a `with` block, and call `set_work` before jobs are given out.
    """

    def __init__(self, wanted: Wanted) -> None:
        """Connect.

        Raises:
            ConfigError: Ray is not installed, no cluster answers, or no machine has enough.
            DataGenerationError: It refuses.
        """
        self._wanted = wanted
        self._ray = _load_ray()
        check_ray_answers(find_address(wanted.address, os.environ))
        paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
        threads = str(wanted.cpus)
        environment = {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "PYTHONPATH": os.pathsep.join(p for p in paths if p),
            "LP_NUM_THREADS": threads,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        try:
            self._ray.init(
                address=wanted.address,
                log_to_driver=False,
                logging_level="ERROR",
                runtime_env={"env_vars": environment},
            )
        except Exception as error:  # noqa: BLE001 - Ray's own errors have no common base here
            with suppress(Exception):
                self._ray.shutdown()
            raise DataGenerationError(
                f"--ray {wanted.address}: Ray cannot connect: {_line(error)}"
            ) from None
        try:
            self._gpus = self._share_of_gpus()
            if not self._workers_that_fit():
                raise ConfigError(self._too_small())
        except BaseException:
            self.close()
            raise
        self._make: Any = None
        self._work: Any = None
        self._capacity, self._looked = 0, -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, which ends the jobs that still run there."""
        self._ray.shutdown()

    # --- the machines ---

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _share_of_gpus(self) -> float:
        """Give the GPUs of a worker: all machines have some, or none is used.

        A GPU and software OpenGL draw pictures that differ in a few pixels, so they are not mixed.
        """
        if self._wanted.gpus is not None or not self._wanted.makes_images:
            return self._wanted.gpus or 0.0
        shares = []
        for node in self._nodes():
            room = node["Resources"].get("CPU", 0) // self._wanted.cpus
            if room:
                shares.append(node["Resources"].get("GPU", 0) / room)
        # Ray counts in 1/10000; above 1 it wants whole numbers.
        share = min(shares, default=0.0)
        return math.floor(share * 10_000) / 10_000 if share < 1 else 1.0

    def _workers_on(self, node: Mapping[str, Any]) -> int:
        resources = node["Resources"]
        workers = resources.get("CPU", 0) / self._wanted.cpus
        if self._gpus:
            workers = min(workers, resources.get("GPU", 0) / self._gpus + 1e-6)
        return int(workers)

    def _workers_that_fit(self) -> int:
        return sum(self._workers_on(node) for node in self._nodes())

    def _too_small(self) -> str:
        most = [max((n["Resources"].get(k, 0) for n in self._nodes()), default=0) for k in _KINDS]
        return (
            f"--ray {self._wanted.address}: no machine has {self._wanted.cpus} CPUs"
            f" (--ray_cpus_per_worker) and {self._gpus:g} GPUs (--ray_gpus_per_worker) for a"
            f" worker; the largest one has {most[0]:g} CPUs, {most[1]:g} GPUs"
        )

    def check_machines(self, root: Path, results: str) -> list[str]:
        """Check that every machine can do the work; return those that do not see the folder.

        Args:
            root: The data set's folder, which need not be there.
            results: Of `remote_jobs.RESULTS`.

        Raises:
            ConfigError: One lacks a package, has other versions, or does not see the folder.
        """
        from ray.util.scheduling_strategies import (  # noqa: PLC0415 - an optional package
            NodeAffinitySchedulingStrategy,
        )

        nodes = [node for node in self._nodes() if self._workers_on(node)]
        with _file_in(root) as path:
            looks = [
                self._ray.remote(_caller())
                .options(
                    num_cpus=0,
                    max_retries=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                )
                .remote(_MODULE, "look", str(path))
                for node in nodes
            ]
            self._ray.wait(looks, num_returns=len(looks), timeout=LOOK_S)
            found = [self._look_of(node, look) for node, look in zip(nodes, looks, strict=True)]
        blind = [
            _name(node) for node, machine in zip(nodes, found, strict=True) if not machine.sees
        ]
        if blind and results == remote_jobs.SHARED:
            raise ConfigError(
                f"machine {blind[0]} does not see {path.parent}, or another folder is there; name a"
                " --path_dataset on a disk that all machines share, or let them send what they"
                " make: --ray_results auto"
            )
        return blind

    def _look_of(self, node: Mapping[str, Any], look: Any) -> remote_jobs.Machine:
        name, here = _name(node), versions()
        try:
            machine: remote_jobs.Machine = self._ray.get(look, timeout=0)
        except self._ray.exceptions.GetTimeoutError:
            raise ConfigError(f"machine {name} says nothing for {LOOK_S:g} s") from None
        except (ImportError, self._ray.exceptions.RayError) as error:
            raise ConfigError(_cannot_load(name, error)) from None
        if machine.lacks:
            raise ConfigError(
                f"machine {name} lacks the package {machine.lacks[0]}; on all machines: pip install"
                " -r RLBench/requirements.txt ./RLBench"
            )
        for what, version in here.items():
            if machine.versions.get(what) != version:
                raise ConfigError(
                    f"machine {name} has {what} {machine.versions.get(what)}, this one has"
                    f" {version}; install the same on all machines"
                )
        return machine

    # --- the jobs ---

    def set_work(self, work: Work) -> None:
        """Tell the cluster what all jobs have in common."""
        self._work = self._ray.put(work)
        # Jobs are repeated by us, which know how far they had come. Worker processes are kept, also
        # those with a GPU.
        kept = self._ray.remote(
            num_cpus=self._wanted.cpus, num_gpus=self._gpus, max_retries=0, max_calls=0
        )
        self._make = kept(_caller())

    def capacity(self) -> int:
        """Give the workers of the machines that are there, and some jobs more that wait."""
        if time.monotonic() - self._looked > NODES_S:
            self._looked = time.monotonic()
            fit = self._workers_that_fit()
            self._capacity = fit + math.ceil(QUEUE * fit)
            if self._wanted.workers is not None:
                self._capacity = min(self._capacity, self._wanted.workers)
        return self._capacity

    def submit(self, task: Task) -> Any:
        """Give a job to Ray."""
        return self._make.remote(_MODULE, "make", self._work, task)

    def ready(self, handles: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Wait for jobs."""
        wait: Callable[..., tuple[list[Any], list[Any]]] = self._ray.wait
        some, _ = wait(handles, num_returns=1, timeout=seconds, fetch_local=False)
        if some:
            some, _ = wait(handles, num_returns=len(handles), timeout=0, fetch_local=False)
        return some

    def result(self, handle: Any) -> MadeThere:
        """Give what a job returned; errors as of `Executor`."""
        errors = self._ray.exceptions
        try:
            made: MadeThere = self._ray.get(handle)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError):
            raise WorkerKilledError("its process was killed, or is out of memory") from None
        except (errors.RayTaskError, errors.RuntimeEnvSetupError, ImportError) as error:
            raise DataGenerationError(_cannot_load("", error)) from None
        except errors.RayError:
            raise WorkerLostError("its machine left the cluster") from None
        return made


_KINDS = ("CPU", "GPU")


def _caller() -> Callable[..., Any]:
    """Give a function that Ray sends as it is: it says, too, where a package is not installed."""

    def call(module: str, function: str, *args: Any) -> Any:
        import importlib as there  # noqa: PLC0415 - it is loaded on another machine

        return getattr(there.import_module(module), function)(*args)

    return call


def _load_ray() -> Any:
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--ray: package ray is not installed; pip install '.[ray]'")
    ray = importlib.import_module("ray")
    importlib.import_module("ray.exceptions")
    return ray


def check_ray_answers(address: str) -> None:
    """Ask the cluster for a sign in a process that can be ended: Ray would wait for minutes.

    Raises:
        ConfigError: Nothing like Ray, or another version of it, answers.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        done = subprocess.run(  # noqa: S603 - our own Python
            command, capture_output=True, text=True, timeout=HEALTH_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"--ray: what answers at {address} is no Ray cluster, or hangs: no sign in"
            f" {HEALTH_S:g} s; give the address that ray status shows"
        ) from None
    if done.returncode == 1:
        raise ConfigError(
            f"--ray: the cluster at {address} is not healthy: {_line(done.stderr or done.stdout)};"
            " it must run the same version of Ray"
        )


def find_address(address: str, environment: Mapping[str, str]) -> str:
    """Give HOST:PORT of a cluster that something answers at.

    Raises:
        ConfigError: It has no form of an address, or nothing answers there.
    """
    if address == AUTO:
        found = environment.get("RAY_ADDRESS") or _local_cluster(environment)
        if not found:
            raise ConfigError(
                "--ray auto: no cluster runs on this machine and RAY_ADDRESS is not set; begin one"
                " (ray start --head), or give --ray HOST:PORT"
            )
    else:
        found = address
    host, colon, port = found.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536) or "/" in host:
        raise ConfigError(
            f"--ray {address}: {found[:80]!r} is no address of a cluster; it must be auto or"
            f" HOST:PORT, such as node1:{PORT}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise ConfigError(
            f"--ray {address}: no cluster answers at {found}: {error.strerror or error}; is it"
            " running (ray status)?"
        ) from None
    return found


def _local_cluster(environment: Mapping[str, str]) -> str:
    folder = Path(environment.get("RAY_TMPDIR") or tempfile.gettempdir())
    for place in (folder, Path("/tmp")):  # noqa: S108 - where Ray itself keeps it
        with suppress(OSError):
            return (place / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    return ""


class _file_in:  # noqa: N801 - used as a function is
    """Make a file for a moment, in the nearest folder of a path that is there; gives its path."""

    def __init__(self, root: Path) -> None:
        folder = root
        while not folder.is_dir():
            folder = folder.parent
        self._path = folder / f".look.{uuid.uuid4().hex[:12]}{SUFFIX}"

    def __enter__(self) -> Path:
        try:
            self._path.touch(exist_ok=False)
        except OSError as error:
            raise ConfigError(
                f"--path_dataset: {self._path.parent} cannot be written: {error.strerror}"
            ) from None
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _name(node: Mapping[str, Any]) -> str:
    return f"{node.get('NodeManagerHostname')} ({node.get('NodeManagerAddress')})"


def _cannot_load(name: str, error: Exception) -> str:
    machine = f"machine {name}" if name else "a machine of the cluster"
    return (
        f"{machine} cannot load this program from {REPOSITORY}: {_line(error)}; the same clone,"
        " with its packages installed, must be at this path on all machines"
    )


def _line(error: object) -> str:
    """Give the last line of an error: of a remote one, that is the cause."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip()[:200]
