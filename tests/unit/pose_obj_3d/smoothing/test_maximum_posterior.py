"""Parts of the most probable track: solver, motion, likelihood, choice of the motion."""

import math

import pytest
import torch

from pose_obj_3d.smoothing.maximum_posterior import (
    block_tridiagonal,
    detections,
    motion,
    scale_choice,
)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(diagonal, above):
    """(n, n, M, B) blocks -> (B, M n, M n)."""
    n, _, M, B = diagonal.shape
    full = torch.zeros(B, M, n, M, n, dtype=torch.float64)
    for m in range(M):
        full[:, m, :, m] = diagonal[:, :, m].permute(2, 0, 1)
    for m in range(M - 1):
        full[:, m, :, m + 1] = above[:, :, m].permute(2, 0, 1)
        full[:, m + 1, :, m] = above[:, :, m].permute(2, 1, 0)
    return full.reshape(B, M * n, M * n)


@pytest.mark.parametrize("size", [3, 6])
@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 7, 12])
def test_the_solver_agrees_with_dense_algebra(size, blocks):
    root = random(size, size, blocks, 2)
    diagonal = (
        torch.einsum("ijmb,kjmb->ikmb", root, root) + 4 * size * torch.eye(size)[:, :, None, None]
    )
    above, moment = random(size, size, blocks - 1, 2, seed=1), random(size, blocks, 2, seed=2)
    x, inverse, next_to = block_tridiagonal.solve(diagonal, above, moment)
    expected = torch.linalg.inv(dense(diagonal, above))
    found = (expected @ moment.permute(2, 1, 0).reshape(2, -1, 1)).reshape(2, blocks, size)
    torch.testing.assert_close(x.permute(2, 1, 0), found)
    parts = expected.reshape(2, blocks, size, blocks, size)
    for m in range(blocks):
        torch.testing.assert_close(inverse[:, :, m].permute(2, 0, 1), parts[:, m, :, m])
    for m in range(blocks - 1):
        torch.testing.assert_close(next_to[:, :, m].permute(2, 0, 1), parts[:, m, :, m + 1])


@pytest.mark.parametrize("frames", [3, 4, 9])
@pytest.mark.parametrize("with_bends", [False, True])
def test_the_posterior_minimises_its_quadratic_form(frames, with_bends):
    root = random(3, 3, frames, 2)
    info = torch.einsum("ijtb,kjtb->iktb", root, root) + torch.eye(3)[:, :, None, None]
    moment = random(3, frames, 2, seed=1)
    form = motion.Coupling(
        random(frames - 1, 2, seed=2).abs(), with_bends * random(frames - 2, 2, seed=3).abs()
    )
    x, covariance = motion.posterior(info, moment, form)
    y = torch.zeros_like(x, requires_grad=True)

    def energy(y):
        data = 0.5 * torch.einsum("itb,ijtb,jtb->", y, info, y) - (moment * y).sum()
        steps = (form.steps * (y[:, 1:] - y[:, :-1]).square().sum(0)).sum()
        bends = (y[:, 2:] - 2 * y[:, 1:-1] + y[:, :-2]).square().sum(0)
        return data + 0.5 * steps + 0.5 * (form.bends * bends).sum()

    (gradient,) = torch.autograd.grad(energy(y + x), y)
    assert gradient.abs().max() < 1e-10
    hessian = torch.autograd.functional.hessian(energy, x).reshape(6 * frames, 6 * frames)
    expected = torch.linalg.inv(hessian).reshape(3, frames, 2, 3, frames, 2)
    for t in range(frames):
        for b in range(2):
            torch.testing.assert_close(covariance[:, :, t, b], expected[:, t, b, :, t, b])


def test_the_quadratic_form_touches_the_slope_of_the_energy():
    x = 0.01 * random(3, 9, 1)
    x.requires_grad_(True)
    unit = 0.004
    scale = motion.MotionScale(*(torch.tensor([v], dtype=torch.float64) for v in (5.0, 2.0, 0.0)))
    there = torch.ones(9, 1, dtype=torch.bool)
    form = motion.coupling(x.detach(), scale, there, unit)
    steps, bends = x[:, 1:] - x[:, :-1], x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]
    least = (motion.EPSILON * unit) ** 2
    energy = (steps.square().sum(0) + least).sqrt().sum() / (5 * unit)
    energy = energy + (bends.square().sum(0) + least).sqrt().sum() / (2 * unit)
    quadratic = 0.5 * (form.steps * steps.square().sum(0)).sum()
    quadratic = quadratic + 0.5 * (form.bends * bends.square().sum(0)).sum()
    (ours,) = torch.autograd.grad(energy, x, retain_graph=True)
    (touching,) = torch.autograd.grad(quadratic, x)
    torch.testing.assert_close(ours, touching)


def judged(residual_px, sigma_px=1.0, gross=0.1):
    """Judge one detection with a residual."""
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    found = detections.Detections(
        torch.zeros(1, 2, 1, 1, dtype=torch.float64),
        None,
        sigma_px * one,
        gross * one,
        one > 0,
        torch.eye(3, 4, dtype=torch.float64)[None],
        torch.tensor([256.0], dtype=torch.float64),
        torch.full((3,), 1 / 3, dtype=torch.float64),
    )
    return detections.judge(found, (residual_px / sigma_px) ** 2 * one)


def test_a_gross_error_loses_its_weight():
    sound = [float(judged(r).sound) for r in (0.0, 2.0, 5.0, 10.0, 40.0)]
    assert sound[0] > 0.95
    assert sound == sorted(sound, reverse=True)
    assert sound[-1] < 1e-3
    assert float(judged(40.0).weight) < 0.01 * float(judged(1.0).weight)


def test_what_is_expected_to_be_gross_is_sooner_taken_for_it():
    assert float(judged(4.0, gross=0.5).sound) < float(judged(4.0, gross=0.02).sound)


def test_one_of_the_ways_to_move_has_no_order():
    found = scale_choice.candidates()
    assert [c.has_order for c in found] == [False] + [True] * (len(found) - 1)
    assert sum(c.still for c in found) == 1
    assert math.isinf(found[0].bend)


def test_few_scores_are_judged_together():
    scores = torch.zeros(len(scale_choice.candidates()), 40, 3, dtype=torch.float64)
    scores[2, :, 0] = 1.0  # two keypoints agree
    scores[2, :, 1] = 1.0
    scores[3, :1, 2] = 5.0  # one with a single scored frame
    count = torch.full((40, 3), 4)
    count[1:, 2] = 0
    owner = torch.arange(3)
    assert scale_choice.choose(scores, count, owner, 3).tolist() == [2, 2, 2]
