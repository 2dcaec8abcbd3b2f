"""Flags of `execute_keypoints.py` that belong together."""

import logging
from pathlib import Path

import pytest

from data_generation.RLBench.config import load_config
from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.executing.command import build_parser, read_settings


@pytest.fixture
def settings(write_config, tmp_path):
    """Return a function that reads flags; `FILE` stands for a file that is there."""
    there = tmp_path / "file"
    there.write_bytes(b"")
    config = load_config(Path(write_config(train_task_ids=[0])))

    def read(*flags):
        given = [str(there) if flag == "FILE" else flag for flag in flags]
        return read_settings(build_parser().parse_args(["--path_out", "out", *given]), config)

    return read


def test_detectors_whose_claims_are_not_known_are_said(settings, caplog):
    with caplog.at_level(logging.WARNING):
        settings("--detectors", "FILE", "--detected", "FILE")
        assert not caplog.messages
        settings("--detectors", "FILE")
    assert "all detections of a view count alike" in caplog.text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--detected", "FILE"), "belongs to --detectors"),
        (("--detectors", "FILE", "--noise_scale", "3"), "of simulated detections"),
        (("--detectors", "none.pt"), "no such file"),
        (("--methods", "rts", "rts"), "a label of its own"),
        (("--frames", "1000000"), "--frames 1000000; allowed"),
        (("--grasp_limit_mm", "nan"), "must be above 0"),
    ],
)
def test_flags_that_cannot_be_used_are_one_line(settings, flags, said):
    with pytest.raises(ConfigError, match=said):
        settings(*flags)
