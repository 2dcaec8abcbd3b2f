"""The solver, beside SciPy's on the same problem."""

import numpy as np
import pytest

from pose_obj_3d.calibrate.adjustment import BoardProblem, free_parameters
from pose_obj_3d.calibrate.starting import alone, together
from pose_obj_3d.geometry.adjusting import least_squares
from pose_obj_3d.geometry.adjusting.rotations import (
    angle_between,
    cross_matrix,
    nearest_rotation,
    rotation,
)
from tests.unit.pose_obj_3d.calibrate.rigs import Rig, board


@pytest.fixture(scope="module")
def case():
    views = Rig().views(board(), frames=8, noise=0.2)
    singles = [alone(view, board(), "pinhole") for view in views]
    scene, views = together(views, singles, board())
    free = free_parameters(scene.cameras, first_is_fixed=True)
    return BoardProblem(views, scene.frames, board(), free), scene


def test_derivatives_are_those_of_the_residuals(case):
    problem, scene = case
    linear = problem.linearise(scene)
    rng = np.random.default_rng(0)
    cameras = rng.normal(size=problem.free.shape) * problem.free * 1e-6
    blocks = rng.normal(size=(problem.blocks, 6)) * 1e-6
    moved = problem.moved(scene, cameras, blocks)
    back = problem.moved(scene, -cameras, -blocks)
    found = (problem.residual(moved) - problem.residual(back)) / 2
    expected = np.einsum("nij,nj->ni", linear.by_camera, cameras[problem.camera])
    expected += np.einsum("nij,nj->ni", linear.by_block, blocks[problem.block])
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_minimum_and_covariance_are_scipys(case):
    optimize = pytest.importorskip("scipy.optimize")
    problem, scene = case
    sigma = np.full(3, 0.2)
    found = least_squares.minimise(problem, scene, sigma, steps=50)
    V, S = problem.free.shape
    free = np.flatnonzero(problem.free.ravel())

    def residual(x):
        """Steps from the minimum; the t distribution's cost is a sum of squares of these."""
        cameras = np.zeros(V * S)
        cameras[free] = x[: len(free)]
        state = problem.moved(found.state, cameras.reshape(V, S), x[len(free) :].reshape(-1, 6))
        r = problem.residual(state) / sigma[problem.camera][:, None]
        nu = least_squares.DEGREES_OF_FREEDOM
        square = (r**2).sum(-1)
        cost = r * np.sqrt(nu * np.log1p(square / nu) / np.maximum(square, 1e-12))[:, None]
        prior = problem.prior(state)
        known = (np.sqrt(prior.precision) * prior.deviation).ravel()
        return np.concatenate([cost.ravel(), known])

    start = np.zeros(len(free) + 6 * problem.blocks)
    best = optimize.least_squares(residual, start, x_scale="jac", max_nfev=4)
    assert (residual(start) ** 2).sum() < (best.fun**2).sum() * (1 + 1e-5)
    claimed = np.sqrt(np.diag(found.covariance)[free])
    inverse = np.linalg.inv(best.jac.T @ best.jac)
    assert np.allclose(claimed, np.sqrt(np.diag(inverse)[: len(free)]), rtol=0.1)


def test_rotations():
    rng = np.random.default_rng(0)
    vector = rng.normal(size=(5, 3))
    R = rotation(vector)
    assert np.allclose(R @ R.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(angle_between(R, np.eye(3)), np.linalg.norm(vector, axis=-1))
    tiny = vector * 1e-9
    assert np.allclose(rotation(tiny), np.eye(3) + cross_matrix(tiny), atol=1e-15)
    assert np.allclose(nearest_rotation(R * 1.1), R)
