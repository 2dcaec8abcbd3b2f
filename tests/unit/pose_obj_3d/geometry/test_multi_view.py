"""Geometry: exactness, symmetries, the optimum and its bound."""

import pytest
import torch

from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.geometry import multi_view as geometry
from tests.unit.pose_obj_3d.synthetic import rig

K, E = (torch.from_numpy(x) for x in rig())
SIGMA = 1.29


def points(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.tensor([0.1, -0.3, 0.76]), torch.tensor([0.4, 0.3, 1.1])
    return (low + (high - low) * torch.rand(n, 3, generator=generator)).double()


def noisy(xyz: torch.Tensor, seed: int = 1) -> torch.Tensor:
    uv, _ = geometry.project(xyz, K, E)
    return uv + SIGMA * torch.randn(
        uv.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).norm(dim=-1)


@pytest.mark.parametrize("views", [[0, 1], [0, 3], [0, 2, 3], [0, 1, 2, 3]])
def test_dlt_recovers_exact_points(views):
    xyz = points(200)
    uv, depth = geometry.project(xyz, K[views], E[views])
    assert (depth > 0.5).all()
    found = geometry.triangulate_dlt(uv, torch.ones(200, len(views)).double(), K[views], E[views])
    assert error(found, xyz).max() < 1e-9


def test_missing_views_do_not_influence():
    xyz = points(200)
    uv, _ = geometry.project(xyz, K, E)
    weights = torch.ones(200, 4).double()
    dropped = torch.arange(200) % 4
    weights[torch.arange(200), dropped] = 0
    uv[torch.arange(200), dropped] = 1e4
    start = geometry.triangulate_dlt(uv, weights, K, E)
    assert error(start, xyz).max() < 1e-9
    assert error(geometry.refine_ml(start, uv, weights, K, E), xyz).max() < 1e-9


def test_fewer_than_two_views_give_nan():
    uv, _ = geometry.project(points(2), K, E)
    weights = torch.tensor([[1.0, 0, 0, 0], [1, 0, 1, 0]]).double()
    found = geometry.triangulate_dlt(uv, weights, K, E)
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


def test_ml_is_no_worse_than_dlt_and_meets_the_bound():
    xyz = points(4000)
    uv, weights = noisy(xyz), torch.ones(4000, 4).double()
    dlt = geometry.triangulate_dlt(uv, weights, K, E)
    ml = geometry.refine_ml(dlt, uv, weights, K, E)
    bound = geometry.expected_error(geometry.information(xyz, weights, K, E, SIGMA)).mean()
    assert error(ml, xyz).mean() <= error(dlt, xyz).mean() * 1.001
    assert error(ml, xyz).mean() == pytest.approx(float(bound), rel=0.1)


def test_expected_error_of_known_covariances():
    eye = torch.eye(3).double()
    # E|e| of an isotropic normal in 3D is sigma * sqrt(8 / pi); in 1D sigma * sqrt(2 / pi).
    flat = torch.diag(torch.tensor([1.0, 1e10, 1e10])).double()
    found = geometry.expected_error(torch.stack([eye / 4, flat]))
    assert found[0] == pytest.approx(2 * (8 / torch.pi) ** 0.5, rel=1e-5)
    assert found[1] == pytest.approx((2 / torch.pi) ** 0.5, rel=1e-3)


def test_huber_resists_an_outlier():
    xyz = points(300)
    uv, weights = noisy(xyz), torch.ones(300, 4).double()
    uv[:, 1] += 40
    start = geometry.triangulate_dlt(uv, weights, K, E)
    plain = geometry.refine_ml(start, uv, weights, K, E)
    robust = geometry.refine_ml(start, uv, weights, K, E, huber_px=3.5 * SIGMA)
    assert error(robust, xyz).mean() < 0.5 * error(plain, xyz).mean()


def test_jacobian_is_the_derivative():
    xyz = points(1)[0]
    _, J = geometry.projection_jacobian(xyz, K, E)
    expected = torch.autograd.functional.jacobian(lambda x: geometry.project(x, K, E)[0], xyz)
    torch.testing.assert_close(J, expected)


def test_weighted_mean_ignores_frames_without_information():
    xyz = torch.tensor([[1.0, 2, 3], [3, 4, 5], [99, 99, 99]]).double()
    info = torch.stack([torch.eye(3), 3 * torch.eye(3), torch.zeros(3, 3)]).double()
    mean, total = geometry.weighted_mean(xyz, info)
    torch.testing.assert_close(mean, torch.tensor([2.5, 3.5, 4.5]).double())
    torch.testing.assert_close(total, 4 * torch.eye(3).double())


@pytest.mark.parametrize("views", [[0, 1], [0, 2]])
def test_the_mean_of_a_still_point_has_no_bias(views):
    """Two cameras side by side see depth badly: a plain average has a bias."""
    xyz = torch.tensor([0.3, 0.1, 0.9]).double()
    K2, E2, n = K[views], E[views], 40000
    uv, _ = geometry.project(xyz, K2, E2)
    noise = torch.randn(
        n, len(views), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    uv, weights = uv + SIGMA * noise, torch.ones(n, len(views)).double()
    found = geometry.refine_ml(geometry.triangulate_dlt(uv, weights, K2, E2), uv, weights, K2, E2)
    info = geometry.information(found, weights, K2, E2, SIGMA)
    plain, total = geometry.weighted_mean(found, info)
    corrected, _ = geometry.weighted_mean(
        found - geometry.averaging_bias(found, weights, K2, E2, SIGMA), info
    )
    chance = float(geometry.expected_error(total))
    assert error(plain, xyz) > 5 * chance
    assert error(corrected, xyz) < 2.5 * chance


def test_no_bias_is_claimed_where_nothing_is_triangulated():
    weights = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]]).double()
    assert (geometry.averaging_bias(points(2), weights, K, E, SIGMA) == 0).all()


def test_wrong_shape_is_one_clear_error():
    with pytest.raises(PoseObj3DError, match="xyz_world must have shape"):
        geometry.project(torch.zeros(5, 2), K, E)


def test_a_camera_knows_nothing_of_what_is_behind_it():
    behind = torch.tensor([[-1.03, -0.69, 5.21]], dtype=torch.float64)  # of three of the four
    _, depth = geometry.project(behind, K, E)
    assert (depth[0, :3] < 0).all()
    for views, known in (([0, 1, 2], 0.0), ([0, 3], 1.0)):
        weights = torch.zeros(1, 4, dtype=torch.float64)
        weights[0, views] = 1
        info = geometry.information(behind, weights, K, E, 1.29)
        assert info.isfinite().all()
        assert (info.abs().max() > 0) == (known > 0)
        assert info.abs().max() < 1e7


def test_inverse_and_its_gradient():
    m = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    assert torch.allclose(geometry.invert_3x3(m), torch.linalg.inv(m))
    assert geometry.invert_3x3(m[:0]).shape == (0, 5, 3, 3)
    assert torch.autograd.gradcheck(geometry.invert_3x3, m.requires_grad_())
