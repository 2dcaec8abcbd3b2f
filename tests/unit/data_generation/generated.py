"""The generation command with a source of the tests, and its account."""

import json

from data_generation.RLBench import generate_data
from tests.unit.data_generation import fake_source


def generate(data, config, *flags, source=fake_source.open_source):
    """Run the command and return its exit code."""
    argv = ["--path_dataset", str(data), "--path_dataset_config", config, *flags]
    return generate_data.main(argv, source)


def report(data):
    """Read the account of the last run."""
    return json.loads((data / "report.json").read_text())


def files(data):
    """Give what every file of a data set holds, but for the account of the run."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.name != "report.json"
    }
