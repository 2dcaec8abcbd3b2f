"""Symmetric matrices, entries first."""

import torch

from pose_obj_3d.geometry import symmetric


def draw(seed):
    root = torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(seed)).double()
    return root @ root.transpose(-1, -2) + torch.eye(3)


def packed(m):
    return symmetric.pack(m.permute(1, 2, 0))


def test_they_are_the_matrices_that_they_stand_for():
    a, b = draw(0), draw(1)
    v = torch.randn(5, 3, generator=torch.Generator().manual_seed(2)).double()
    whole = [
        (symmetric.invert(packed(a)), torch.linalg.inv(a)),
        (symmetric.between(packed(a), packed(b)), a @ b @ a),
        (symmetric.outer(v.T), v.unsqueeze(2) * v.unsqueeze(1)),
        (symmetric.add_to_diagonal(packed(a), 2.0), a + 2 * torch.eye(3)),
    ]
    for mine, other in whole:
        torch.testing.assert_close(symmetric.unpack(mine).permute(2, 0, 1), other)
    torch.testing.assert_close(symmetric.apply(packed(a), v.T).T, (a @ v.unsqueeze(2)).squeeze(2))
    trace = (a @ b).diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(symmetric.inner(packed(a), packed(b)), trace)


def test_gradients():
    a = packed(draw(0)).requires_grad_()
    v = torch.randn(3, 5, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    assert torch.autograd.gradcheck(symmetric.invert, a)
    assert torch.autograd.gradcheck(symmetric.log_det, a)
    torch.testing.assert_close(symmetric.log_det(a), torch.logdet(draw(0)))
    assert torch.autograd.gradcheck(symmetric.apply, (a, v))
    assert torch.autograd.gradcheck(symmetric.apply, (a[:, :1].detach().requires_grad_(), v))
