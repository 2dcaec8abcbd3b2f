"""Symmetries of the geometry that hold for any scene."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_obj_3d.geometry import multi_view as geometry
from tests.unit.pose_obj_3d.synthetic import rig

K, E = (torch.from_numpy(x) for x in rig())
seeds = st.integers(0, 2**31 - 1)


def scene(seed: int) -> tuple[torch.Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.rand(8, 3, generator=generator, dtype=torch.float64) * 0.4
    return xyz + torch.tensor([0.05, -0.2, 0.75]), generator


def motion(generator: torch.Generator) -> torch.Tensor:
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    q = q * r.diagonal().sign()
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = q * torch.linalg.det(q).sign()
    T[:3, 3] = torch.randn(3, generator=generator, dtype=torch.float64)
    return T


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_moving_world_and_cameras_together_changes_no_projection(seed):
    xyz, generator = scene(seed)
    T = motion(generator)
    moved = xyz @ T[:3, :3].T + T[:3, 3]
    for a, b in zip(
        geometry.project(xyz, K, E),
        geometry.project(moved, K, E @ torch.linalg.inv(T)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(seeds, st.permutations(range(4)))
def test_order_of_views_does_not_matter(seed, order):
    xyz, generator = scene(seed)
    uv, _ = geometry.project(xyz, K, E)
    uv = uv + torch.randn(uv.shape, generator=generator, dtype=torch.float64)
    weights = (torch.rand(uv.shape[:2], generator=generator) < 0.8).double()
    weights[:, :2] = 1

    def solve(views: list[int]) -> torch.Tensor:
        args = uv[:, views], weights[:, views], K[views], E[views]
        return geometry.refine_ml(geometry.triangulate_dlt(*args), *args, huber_px=4.0)

    torch.testing.assert_close(solve(list(range(4))), solve(order), rtol=0, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds, st.lists(st.booleans(), min_size=4, max_size=4).filter(lambda x: sum(x) >= 2))
def test_triangulation_inverts_projection_for_any_views(seed, seen):
    xyz, _ = scene(seed)
    uv, _ = geometry.project(xyz, K, E)
    weights = torch.tensor(seen).double().expand(len(xyz), 4)
    torch.testing.assert_close(geometry.triangulate_dlt(uv, weights, K, E), xyz, rtol=0, atol=1e-9)
