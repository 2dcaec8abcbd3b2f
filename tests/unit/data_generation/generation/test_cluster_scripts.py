"""Job scripts call the command as it wants to be called; the programs around it are stand-ins."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from data_generation.RLBench import generate_data
from data_generation.RLBench.generation.shards import read_shard

ROOT = Path(__file__).resolve().parents[4]
SCRIPTS = ROOT / "configs" / "cluster"
RECORD = '#!/bin/bash\necho "$(basename "$0") $*" >> "$RECORDED"\n'
# The others do what they are told with the words after their own flags.
SRUN = RECORD + 'while [[ "$1" == --* ]]; do shift; done\n"$@"\n'
SCONTROL = "#!/bin/bash\nprintf 'node1\\nnode2\\nnode3\\n'\n"
HOSTNAME = "#!/bin/bash\necho 10.0.0.1 10.0.0.2\n"


@pytest.fixture
def call(tmp_path):
    """Run a script; give the calls that it makes, as lines."""
    programs = {
        **dict.fromkeys(("python", "sbatch", "sleep"), RECORD),
        **{"srun": SRUN, "scontrol": SCONTROL, "hostname": HOSTNAME},
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(script, *args, **environment):
        recorded = tmp_path / "calls"
        recorded.write_text("")
        done = subprocess.run(
            ["bash", SCRIPTS / script, *args],
            cwd=ROOT,
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "PYTHON": str(tmp_path / "python"),
                "RECORDED": str(recorded),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, recorded.read_text().splitlines(), done.stderr

    return run


def flags_of(line):
    """Read a call of generate_data.py with its own parser."""
    words = line.split("generate_data.py ")[1].split()
    return generate_data.build_parser().parse_args(words)


def test_shards_then_the_report(call):
    code, lines, _ = call("shards.sh", "/data/x", "c.json", "3")
    assert code == 0
    *shards, last = [flags_of(line) for line in lines]
    assert sorted(f.shard for f in shards) == ["0/3", "1/3", "2/3"]
    assert last.finish
    assert {(f.path_dataset, f.path_dataset_config) for f in [*shards, last]} == {
        ("/data/x", "c.json")
    }


def test_a_slurm_array_asks_for_one_report(call):
    reports = 0
    for task in range(2):
        array = {"ID": str(task), "COUNT": "2", "MIN": "0", "MAX": "1"}
        slurm = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
        code, lines, error = call(
            "slurm_array.sh",
            *("/data/x", "c.json"),
            SLURM_CPUS_PER_TASK="4",
            SLURM_ARRAY_JOB_ID="77",
            **slurm,
        )
        assert code == 0, error
        flags = flags_of(lines[-1])
        assert (flags.shard, flags.n_processes) == ("auto", 4)
        assert read_shard(flags.shard, slurm).index == task
        asked = [line for line in lines if line.startswith("sbatch")]
        reports += len(asked)
        assert all("--dependency=afterany:77" in line for line in asked)
        assert all(flags_of(line).finish for line in asked)
    assert reports == 1


def test_ray_on_slurm(call):
    code, lines, error = call(
        "slurm_ray.sh",
        *("/data/x", "c.json"),
        SLURM_JOB_ID="40001",
        SLURM_JOB_NODELIST="node[1-3]",
        SLURM_JOB_NUM_NODES="3",
        SLURM_CPUS_PER_TASK="8",
    )
    assert code == 0, error
    text = "\n".join(lines)
    assert re.search(r"start --head --port=20001 --num-cpus=8", text)
    assert re.search(r"srun --nodes=2 --ntasks=2 --exclude=node1", text)
    assert re.search(r"start --address=10\.0\.0\.1:20001 --num-cpus=8", text)
    assert flags_of(next(x for x in lines if "generate_data.py" in x)).ray == "10.0.0.1:20001"


@pytest.mark.parametrize("script", sorted(p.name for p in SCRIPTS.glob("*.sh")))
def test_without_arguments_they_say_what_they_need(call, script):
    code, lines, error = call(script)
    assert code != 0
    assert not lines
    assert "name the data set" in error
