"""Layers of `MHT`: transformer blocks, the embedding of tracks, attention between cameras.

Shapes: N sequences of S tokens of D channels. Every `is_there` mask says which tokens may be
listened to; a token that is not there adds exactly nothing, so leaving a view out equals masking
it.
"""

import math

import torch
from torch import Tensor, nn

from pose_obj_3d.geometry.rig import Rig

MASKED = -1e4  # logit of a token that is not there


def attend(q: Tensor, k: Tensor, v: Tensor, is_there: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention over the tokens that are there; 0 where there are none.

    Args:
        q: (*, Q, d).
        k: (*, S, d).
        v: (*, S, d).
        is_there: Bool, broadcasts to (*, Q, S).
        bias: Added to the logits, broadcasts to (*, Q, S).

    Returns:
        (*, Q, d).
    """
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if bias is not None:
        logits = logits + bias
    share = logits.masked_fill(~is_there, MASKED).softmax(-1)
    return (share * is_there) @ v


class Present:
    """Pick the sequences that are there out of those of all windows and views, and put them back.

    What a view that is not there says is never used, so on a CPU it is not computed: n sequences of
    B * V. Elsewhere all are: a look at which ones are there would wait for the device.
    """

    def __init__(self, is_there: Tensor) -> None:
        """Look at is_there (B, V)."""
        self.shape = is_there.shape
        rows = is_there.flatten().nonzero().squeeze(-1) if is_there.device.type == "cpu" else None
        self.rows = rows if rows is not None and 0 < len(rows) < is_there.numel() else None

    def pick(self, x: Tensor) -> Tensor:
        """Map (B * V, *) to (n, *)."""
        return x if self.rows is None else x[self.rows]

    def spread(self, x: Tensor) -> Tensor:
        """Map (n, D) to (B, V, D), 0 where a view is not there."""
        if self.rows is not None:
            x = x.new_zeros(self.shape.numel(), x.shape[-1]).index_copy(0, self.rows, x)
        return x.reshape(*self.shape, *x.shape[1:])


class BranchDropout(nn.Module):
    """Dropout of a residual branch: whole branches (stochastic depth) and channels.

    Both choices are made once for each sequence and hold for all of its tokens: drawing a random
    number for every token costs a CPU as much as the layer itself. Stochastic depth: Huang et al.
    2016.

    Attributes:
        batch: How many sequences the batch has, and which of them (N,) are here; None: these are
            all. Draws are for the whole batch, so they do not depend on the number of processes,
            nor on which views are there.
    """

    batch: tuple[int, Tensor] | None = None

    def __init__(self, rate: float, depth_rate: float = 0.0) -> None:
        super().__init__()
        self.rate, self.depth_rate = rate, depth_rate

    def forward(self, x: Tensor) -> Tensor:
        """Scale (N, S, D) by a random mask in training."""
        if not self.training or self.rate == self.depth_rate == 0:
            return x
        mask = self._draw(x, x.shape[-1], 1 - self.rate)
        if self.depth_rate:
            mask = mask * self._draw(x, 1, 1 - self.depth_rate)
        return x * mask

    def _draw(self, x: Tensor, width: int, keep: float) -> Tensor:
        total, here = self.batch or (len(x), None)
        drawn = torch.empty(total, 1, width, device=x.device).bernoulli_(keep)
        return (drawn if here is None else drawn[here]) / keep


def mlp(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Two linear layers with a GELU between them."""
    return nn.Sequential(nn.Linear(width_in, hidden), nn.GELU(), nn.Linear(hidden, width_out))


class TransformerBlock(nn.Module):
    """Pre-norm transformer block whose queries listen to a sequence: itself, or another one."""

    def __init__(self, width: int, heads: int, dropout: float, depth_rate: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        # A bias of the keys would shift all logits of a query alike: it has no effect and no
        # gradient.
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = mlp(width, 2 * width, width)
        self.dropout = BranchDropout(dropout, depth_rate)

    def forward(self, x: Tensor, memory: Tensor, is_there: Tensor) -> Tensor:
        """Let x (N, Q, D) listen to memory (N, S, D) where is_there (N, S): (N, Q, D)."""
        heard = self.norm(memory)
        q = self.query(heard if x is memory else self.norm(x))
        mixed = self._one(q, heard, is_there) if x.shape[1] == 1 else self._many(q, heard, is_there)
        x = x + self.dropout(self.out(mixed))
        out: Tensor = x + self.dropout(self.mlp(self.norm_mlp(x)))
        return out

    def _many(self, q: Tensor, heard: Tensor, is_there: Tensor) -> Tensor:
        """Attend with many queries (N, Q, D): keys and values of all that is heard (N, S, D)."""
        split = (len(q), -1, self.heads, q.shape[-1] // self.heads)
        k, v = self.key_value(heard).chunk(2, -1)
        q_h, k, v = (y.reshape(split).transpose(1, 2) for y in (q, k, v))
        return attend(q_h, k, v, is_there[:, None, None]).transpose(1, 2).reshape(q.shape)

    def _one(self, q: Tensor, heard: Tensor, is_there: Tensor) -> Tensor:
        """Attend with one query (N, 1, D), the same by another order of the products.

        The query is carried to what is heard (N, S, D), and what it hears back, head by head. So no
        key and no value is made of any token.
        """
        N, _, D = q.shape
        key, value = self.key_value.weight.reshape(2, self.heads, -1, D)  # (heads, d, D) each
        asked = (q.reshape(N, self.heads, -1).transpose(0, 1) @ key).transpose(0, 1)
        # Scaled as the keys' width asks, not as that of the tokens.
        asked = asked * math.sqrt(self.heads)
        said = attend(asked, heard, heard, is_there[:, None])  # (N, heads, D)
        mixed: Tensor = said.transpose(0, 1) @ value.transpose(1, 2)  # (heads, N, d)
        return mixed.transpose(0, 1).reshape(N, 1, D)


class TemporalConv(nn.Module):
    """Residual block over time: a convolution over three frames, then one over a single frame."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.neighbours = nn.Linear(3 * width, width)
        self.norm_hidden = nn.LayerNorm(width)
        self.single = nn.Linear(width, width)
        self.dropout = BranchDropout(dropout)

    def forward(self, x: Tensor, is_there: Tensor) -> Tensor:
        """Map (N, T, D) to (N, T, D); frames outside is_there (N, T) are zeros to others."""
        y = self.norm(x) * is_there.unsqueeze(-1)
        before = nn.functional.pad(y, (0, 0, 1, 0))[:, :-1]
        after = nn.functional.pad(y, (0, 0, 0, 1))[:, 1:]
        y = nn.functional.gelu(self.norm_hidden(self.neighbours(torch.cat([before, y, after], -1))))
        out: Tensor = x + self.dropout(self.single(y))
        return out


class PreEmbedding(nn.Module):
    """Tracks of one view -> a token for each frame: embedding, confidence, two blocks over time."""

    def __init__(self, num_keypoints: int, width: int, method: str, dropout: float) -> None:
        super().__init__()
        self.method = method
        self.coarse = nn.Linear(num_keypoints * (3 if method == "concat" else 2), width)
        self.fine = nn.Linear(num_keypoints * 2, width)
        if method == "modulate":
            self.confidence = mlp(num_keypoints, width, width)
        self.blocks = nn.ModuleList(TemporalConv(width, dropout) for _ in range(2))

    def forward(self, coarse: Tensor, fine: Tensor, weights: Tensor, is_there: Tensor) -> Tensor:
        """Embed the tracks.

        Args:
            coarse: (N, T, K, 2) image points in units of the scene; 0 where unused.
            fine: (N, T, K, 2) their distance from the window's mean in units of the noise; 0 where
                unused.
            weights: (N, T, K) confidence, 0 = unused.
            is_there: (N, T) frames with any measurement.

        Returns:
            (N, T, D).
        """
        features = coarse.flatten(2)
        if self.method == "concat":
            features = torch.cat([features, weights], -1)
        x: Tensor = self.coarse(features) + self.fine(fine.flatten(2))
        if self.method == "modulate":
            x = x * (1 + self.confidence(weights))
        for block in self.blocks:
            x = block(x, is_there)
        return x


class Refinement(nn.Module):
    """Refine one hypothesis: its centre frame listens to all its frames, block by block."""

    def __init__(self, blocks: int, width: int, heads: int, rate: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, rate, rate) for _ in range(blocks)
        )

    def forward(self, frames: Tensor, is_there: Tensor) -> Tensor:
        """Map (N, T, D) frames, those in is_there (N, T), to the centre's (N, D)."""
        x = frames[:, frames.shape[1] // 2, None]
        for block in self.blocks:
            x = block(x, frames, is_there)
        return x.squeeze(1)


class CrossInteraction(nn.Module):
    """Hypotheses listen to each other; an MLP mixes all of them."""

    def __init__(
        self, count: int, width: int, heads: int, dropout: float, depth_rate: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(count * width)
        self.mlp = mlp(count * width, 2 * width, count * width)
        self.dropout = BranchDropout(dropout, depth_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Exchange between the H hypotheses: (N, H, D) -> (N, H * D)."""
        N, H, D = x.shape
        y = self.norm(x)
        q, k, v = (
            z.reshape(N, H, self.heads, -1).transpose(1, 2)
            for z in (self.query(y), *self.key_value(y).chunk(2, -1))
        )
        is_there = torch.ones(H, dtype=torch.bool, device=x.device)
        mixed = attend(q, k, v, is_there).transpose(1, 2).reshape(N, H, D)
        flat = (x + self.dropout(self.out(mixed))).reshape(N, 1, H * D)
        out: Tensor = flat + self.dropout(self.mlp(self.norm_mlp(flat)))
        return out.squeeze(1)


class ViewRelation(nn.Module):
    """Relative pose of every pair of cameras -> how a view reads another one.

    For each layer: a d x d matrix that turns what view j says into the frame of view i, block by
    block (MTF-Transformer's relative attention, Shuai et al. 2021, with the pose known instead of
    guessed), and a bias of each head's logit. Depends on the cameras alone.
    """

    def __init__(self, layers: int, heads: int, block: int, hidden: tuple[int, int]) -> None:
        super().__init__()
        self.shape = (layers, block * block + heads)
        self.block = block
        depth, width = hidden
        stack: list[nn.Module] = []
        for i in range(depth):
            stack += [nn.Linear(12 if i == 0 else width, width), nn.GELU()]
        # No bias: on a logit it would be the same for all views and have no effect.
        self.mlp = nn.Sequential(
            *stack, nn.Linear(width if depth else 12, layers * self.shape[1], bias=False)
        )

    def forward(self, rig: Rig, scale: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return matrices (V, V, d, d) and biases (heads, V, V) of each layer; scale [m]."""
        R, t = rig.extrinsics[:, :, :3], rig.extrinsics[:, :, 3]
        R_ij = R[:, None] @ R[None].transpose(
            -1, -2
        )  # (V, V, 3, 3): frame of camera j to that of camera i
        t_ij = t[:, None] - (R_ij @ t[None, :, :, None]).squeeze(-1)
        V = len(R)
        pose = torch.cat([R_ij.flatten(2), t_ij / (t_ij.norm(dim=-1, keepdim=True) + scale)], -1)
        answer = self.mlp(pose).reshape(V, V, *self.shape).permute(2, 0, 1, 3)
        d = self.block
        matrices = answer[..., : d * d].reshape(-1, V, V, d, d) + torch.eye(d, device=pose.device)
        biases = answer[..., d * d :].permute(0, 3, 1, 2)
        return list(zip(matrices, biases, strict=True))


class ViewFusion(nn.Module):
    """Pre-norm transformer block over views; keys and values pass through the cameras' poses."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = mlp(width, width, width)
        self.dropout = BranchDropout(dropout)

    def forward(self, x: Tensor, is_there: Tensor, relation: tuple[Tensor, Tensor]) -> Tensor:
        """Let the views listen to each other.

        Args:
            x: (B, V, D).
            is_there: (B, V, V) whether view i may listen to view j.
            relation: Matrices (V, V, d, d) and biases (heads, V, V) of `ViewRelation`.

        Returns:
            (B, V, D).
        """
        B, V, D = x.shape
        matrix, bias = relation
        y, d = self.norm(x), matrix.shape[-1]
        said = self.key_value(y).reshape(B, V, 2 * D // d, d)
        carried = torch.einsum("ijrc,bjgc->bijgr", matrix, said)  # (B, V, V, 2 D / d, d)
        k, v = carried.reshape(B, V, V, 2, self.heads, -1).permute(
            3, 0, 1, 4, 2, 5
        )  # (B, V, heads, V, -)
        q = self.query(y).reshape(B, V, self.heads, 1, -1)
        mixed = attend(q, k, v, is_there[:, :, None, None], bias.transpose(0, 1).unsqueeze(2))
        x = x + self.dropout(self.out(mixed.reshape(B, V, D)))
        out: Tensor = x + self.dropout(self.mlp(self.norm_mlp(x)))
        return out
