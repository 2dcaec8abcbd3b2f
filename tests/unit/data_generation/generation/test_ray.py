"""Generation on a Ray cluster of two machines, both on this one."""

import os
import subprocess
import sys
import time

import pytest

from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation.fake_source import PROGRAM
from tests.unit.data_generation.generated import files, generate, report

pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
pytestmark = pytest.mark.slow
WAIT_S = 200.0  # a busy machine starts processes slowly


@pytest.fixture(scope="module")
def cluster():
    os.environ["FAKE_DELAY"] = "0.3"  # inherited by the cluster's processes
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - an optional package

    quick = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 4,
        "worker_niceness": 0,
    }  # a dead machine is noticed after 2 s instead of 15 s; workers run beside other programs
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": quick})
    yield made
    made.shutdown()
    del os.environ["FAKE_DELAY"]


def run(tmp_path, data, config, *flags, **environment):
    """Start the command in a process of its own, as users do."""
    (tmp_path / "run.py").write_text(PROGRAM)
    command = [sys.executable, tmp_path / "run.py", "--path_dataset", data]
    return subprocess.Popen(
        [*command, "--path_dataset_config", config, *flags],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_machine_that_dies_costs_what_it_was_making(tmp_path, write_config, cluster):
    config, data = write_config(train_task_ids=[0, 1], n_ex_per_task=15), tmp_path / "d"
    assert generate(tmp_path / "one", config) == 0
    second = cluster.add_node(num_cpus=1)
    process = run(tmp_path, data, config, "--ray", cluster.address, "--ray_results", "shared")
    deadline = time.monotonic() + WAIT_S
    while process.poll() is None and len(RawStore(data).episodes(0)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.remove_node(second, allow_graceful=False)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert "30 of 30 episodes" in out
    assert files(data) == files(tmp_path / "one")
    assert report(data)["attempts"] == report(tmp_path / "one")["attempts"]


def test_what_is_not_written_there_is_sent_back(tmp_path, write_config, cluster):
    config, data = write_config(n_ex_per_task=4), tmp_path / "d"
    assert generate(tmp_path / "one", config) == 0
    process = run(tmp_path, data, config, "--ray", cluster.address, "--ray_results", "sent")
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert files(data) == files(tmp_path / "one")
