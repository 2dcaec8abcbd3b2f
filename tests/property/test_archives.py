"""Archives with any sound detections come back as they were written."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from pose_obj_3d.common.archive.detections import (
    MAX_SD_PX,
    MIN_SD_PX,
    check_detections,
    claimed_covariance,
)
from pose_obj_3d.common.errors import FormalError
from pose_obj_3d.formal import read_formal, rounded_detections, write_formal
from tests.unit.pose_obj_3d.synthetic import write_scene

SHAPE = (4, 6, 4)


def numbers(low: float, high: float) -> st.SearchStrategy:
    low, high = np.float32(low), np.float32(high)
    return st_numpy.arrays(np.float32, SHAPE, elements=st.floats(float(low), float(high), width=32))


@st.composite
def detections(draw: st.DrawFn) -> np.ndarray:
    """Give sound detections; some are missing, some claim nothing."""
    x = np.stack(
        [
            *(draw(numbers(-1e6, 1e6)) for _ in range(2)),
            *(draw(numbers(1.01 * MIN_SD_PX, 0.99 * MAX_SD_PX)) for _ in range(2)),
            draw(numbers(-0.99999, 0.99999)),
            *(draw(numbers(0, 1)) for _ in range(2)),
        ],
        -1,
    )
    x[draw(st_numpy.arrays(bool, SHAPE)), :2] = np.nan
    x[draw(st_numpy.arrays(bool, SHAPE)), 2:5] = np.nan
    return x


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "a.npz"
    return read_formal(write_scene(path, examples=3, frames=6, detected=True))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(x=detections())
def test_round_trip(tmp_path, data, x):
    parts = (data.tracks, data.meta, data.intrinsics, data.extrinsics)
    write_formal(tmp_path / "b.npz", *parts, detections={0: [x] * 3})
    again = read_formal(tmp_path / "b.npz")
    np.testing.assert_array_equal(again.detections[0][1], x)
    assert json.dumps(again.meta, sort_keys=True) == json.dumps(data.meta, sort_keys=True)


@settings(max_examples=50, deadline=None)
@given(detections())
def test_what_is_rounded_is_sound_and_stays_as_it_is(x):
    once = rounded_detections(x)
    check_detections("rounded", once)
    np.testing.assert_array_equal(rounded_detections(once), once)


@settings(max_examples=50, deadline=None)
@given(detections())
def test_claims_are_positive_definite(x):
    claims = claimed_covariance(x).astype(np.float64)
    known = claims[np.isfinite(claims).all((-2, -1))]
    assert (known[:, 0, 0] > 0).all()
    assert (np.linalg.det(known) > 0).all()


@settings(max_examples=100, deadline=None)
@given(
    detections(),
    st.integers(0, 6),
    st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 2e9, 1.5]),
    st.tuples(*(st.integers(0, n - 1) for n in SHAPE)),
)
def test_what_is_accepted_can_be_computed_with(x, channel, value, place):
    x[place][channel] = value
    v, t, k = place
    refusal = ""
    try:
        check_detections("x", x)
    except FormalError as error:
        refusal = str(error)
    if refusal:
        assert f"at view {v}, frame {t}, keypoint {k}" in refusal
        return
    claim = claimed_covariance(x)[place]
    assert np.isnan(claim).any() == np.isnan(x[place][2:5]).any()
    assert np.isnan(claim).any() or np.linalg.det(claim.astype(np.float64)) > 0
