"""The displacement of a body, from those of its keypoints."""

import torch

from pose_obj_3d.geometry import symmetric
from pose_obj_3d.models.consensus.rigid import rigid_displacement

B, K = 3, 6


def scene(seed=0, shift=0.0):
    """Six keypoints, what they claim, and a small rigid motion of all."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    r = 0.1 * draw(B, K, 3) + shift
    root = draw(B, K, 3, 3)
    info = 1e5 * (root @ root.transpose(-1, -2) + torch.eye(3))
    v, omega = 0.01 * draw(B, 1, 3), 0.05 * draw(B, 1, 3)
    motion = v + torch.linalg.cross(omega.expand(B, K, 3), r)
    return r, info, motion, draw


def displacements(delta, info, weight, r, prior, turn):
    """Several displacements at once: [b, j, :, i, k], the windows first."""
    info, prior = (symmetric.pack(x.movedim((-2, -1), (0, 1))) for x in (info, prior))
    info = info.transpose(1, 2)  # (6, K, B)
    force = symmetric.apply(info[:, :, None, None], delta.permute(2, 1, 3, 4, 0))
    v, covariance = rigid_displacement(
        force,
        weight.permute(1, 2, 3, 0),
        info,
        r.permute(2, 1, 0),
        prior.permute(0, 2, 3, 1),
        turn.permute(1, 2, 0),
    )
    return v.permute(3, 1, 2, 0), symmetric.unpack(covariance).permute(4, 2, 3, 0, 1)


def displacement(delta, info, weight, r, prior, turn):
    """One displacement, indexed [b, k, j] as the equations are."""
    delta, weight = delta.permute(0, 2, 3, 1).unsqueeze(3), weight.transpose(1, 2).unsqueeze(2)
    v, covariance = displacements(delta, info, weight, r, prior.unsqueeze(1), turn.unsqueeze(1))
    return v[:, 0], covariance[:, 0]


def test_a_rigid_motion_is_read_at_every_keypoint_from_the_others():
    r, info, motion, _ = scene()
    weight = (1 - torch.eye(K)).expand(B, K, K)
    delta = motion.unsqueeze(1).expand(B, K, K, 3)
    nothing = 1e-3 * torch.eye(3).expand(B, K, 3, 3)
    found, _ = displacement(delta, info, weight, r, nothing, torch.full((B, K), 1e-6))
    torch.testing.assert_close(found.double(), motion, rtol=1e-4, atol=1e-7)


def test_it_is_the_regularised_least_squares_solution():
    """Against six unknowns solved at once, keypoint by keypoint."""
    r, info, motion, draw = scene(1)
    delta = motion.unsqueeze(1) + 0.003 * draw(B, K, K, 3)
    weight, turn = draw(B, K, K).sigmoid(), 1e3 * draw(B, K).exp()
    prior = 1e4 * torch.eye(3).double() + info / 7
    found, covariance = displacement(delta, info, weight, r, prior, turn)
    for b in range(B):
        for k in range(K):
            normal = torch.zeros(6, 6).double()
            normal[:3, :3], normal[3:, 3:] = prior[b, k], torch.eye(3) * turn[b, k]
            right = torch.zeros(6).double()
            for j in range(K):
                arm = r[b, j] - r[b, k]
                cross = torch.linalg.cross(
                    torch.eye(3).double(), arm.expand(3, 3)
                ).T  # omega -> omega x arm
                A = torch.cat([torch.eye(3).double(), cross], 1)
                normal += weight[b, k, j] * A.T @ info[b, j] @ A
                right += weight[b, k, j] * A.T @ info[b, j] @ delta[b, k, j]
            inverse = torch.linalg.inv(normal)
            torch.testing.assert_close(
                found[b, k].double(), (inverse @ right)[:3], rtol=1e-4, atol=1e-7
            )
            torch.testing.assert_close(
                covariance[b, k].double(), inverse[:3, :3], rtol=1e-4, atol=1e-10
            )


def test_where_the_origin_is_does_not_matter():
    found = []
    for shift in (0.0, 3.0):
        r, info, _, draw = scene(2)
        delta, weight = 0.01 * draw(B, K, K, 3), draw(B, K, K).sigmoid()
        prior = 1e4 * torch.eye(3).expand(B, K, 3, 3)
        found.append(displacement(delta, info, weight, r + shift, prior, torch.full((B, K), 1e4)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-9)


def test_several_displacements_at_once_are_as_one_after_the_other():
    r, info, _, draw = scene(3)
    delta, weight = 0.01 * draw(B, K, 3, 2, K), draw(B, K, 2, K).sigmoid()
    prior, turn = (
        (1e4 * torch.eye(3).expand(B, 2, K, 3, 3) + info.unsqueeze(1) / 7),
        1e3 * draw(B, 2, K).exp(),
    )
    v, covariance = displacements(delta, info, weight, r, prior, turn)
    for i in range(2):
        one = slice(i, i + 1)
        found = displacements(
            delta[..., one, :], info, weight[:, :, one], r, prior[:, one], turn[:, one]
        )
        torch.testing.assert_close(v[:, one], found[0])
        torch.testing.assert_close(covariance[:, one], found[1])


def test_the_gradient_is_that_of_small_steps():
    """Against the same least squares solution, differentiated by torch."""
    r, info, _, draw = scene(4)
    leaves = [
        (0.01 * draw(B, K, 3, 2, K)),
        draw(B, K, 2, K).sigmoid(),
        1e4 * torch.eye(3) + info.unsqueeze(1).expand(B, 2, K, 3, 3) / 7,
        1e3 * draw(B, 2, K).exp(),
    ]
    found = []
    for solve in (displacements, normal_equations):
        delta, weight, prior, turn = (x.clone().requires_grad_() for x in leaves)
        v, covariance = solve(delta, info, weight, r, prior, turn)
        (v.sum() + (covariance.sum((-1, -2)) * 1e3).sum()).backward()
        found.append([x.grad for x in (delta, weight, prior, turn)])
    for grads in found:  # of a symmetric matrix
        grads[2] = grads[2] + grads[2].transpose(-1, -2)
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def normal_equations(delta, info, weight, r, prior, turn):
    arm = r.unsqueeze(2) - r.unsqueeze(1)  # [b, j, k]
    eye = torch.eye(3).double()
    cross = torch.linalg.cross(eye.expand(B, K, K, 3, 3), arm.unsqueeze(-2)).transpose(-1, -2)
    A = torch.cat([eye.expand_as(cross), cross], -1)
    AtI = A.transpose(-1, -2) @ info.unsqueeze(2)
    normal = torch.einsum("bjik,bjkxy->bikxy", weight, AtI @ A)
    zero = torch.zeros_like(prior)
    before = torch.cat(
        [torch.cat([prior, zero], -1), torch.cat([zero, eye * turn[..., None, None]], -1)], -2
    )
    right = torch.einsum("bjik,bjkxc,bjcik->bikx", weight, AtI, delta)
    inverse = torch.linalg.inv(normal + before)
    return (inverse @ right.unsqueeze(-1))[..., :3, 0], inverse[..., :3, :3]
