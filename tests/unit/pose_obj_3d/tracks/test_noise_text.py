"""What was found of the noise is said beside what the detector claims."""

from dataclasses import replace

import pytest
import torch

from pose_obj_3d.geometry.noise_parts import ClaimScale, white_noise
from pose_obj_3d.tracks.noise_text import describe

NAMES = ["left", "right"]
FOUND = white_noise(torch.full((2, 3), 1.26, dtype=torch.float64))


@pytest.mark.parametrize(
    ("exponent", "weighed", "text"),
    [
        (0.75, 0.0, "and errors grow as the claimed ones to the power of 0.75"),
        (-0.25, 1.0, "and errors grow as the claimed ones to the power of 0.75"),
        (0.0, 0.0, "but claims say nothing of the errors' size"),
    ],
)
def test_claims_stand_beside_what_views_show(exponent, weighed, text):
    claims = ClaimScale(torch.tensor([0.42, 0.42]), exponent, 0.0)
    line = describe(replace(FOUND, claims=claims), NAMES, weighed)
    assert "left 1.26, right 1.26" in line
    assert f"0.42 px are claimed in the median, {text}" in line


def test_without_claims_nothing_is_said_of_them():
    assert "claim" not in describe(FOUND, NAMES)
