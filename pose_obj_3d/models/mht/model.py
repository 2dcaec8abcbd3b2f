"""Multi-hypothesis multi-view transformer: the network of the original project, written anew.

Each view's track becomes tokens over time; a stack of transformer blocks gives one hypothesis a
block; hypotheses are fused, refined one by one and against each other (MHFormer, Li et al. 2022);
what is left of a view is one token of the centre frame. Views listen to each other through their
cameras' relative pose (MTF-Transformer, Shuai et al. 2021), and `mht_head` joins what they say into
a point.

Departures: layer norm instead of batch norm, so that no sample depends on its batch; the cameras'
calibration instead of a learned transform between views; a head in the cameras' frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Normalised, Prediction
from pose_obj_3d.models.choices import CONFIDENCE_METHODS
from pose_obj_3d.models.mht.head import PointHead, RayHead, Scene, fine_uv
from pose_obj_3d.models.mht.parts import (
    BranchDropout,
    CrossInteraction,
    PreEmbedding,
    Present,
    Refinement,
    TransformerBlock,
    ViewFusion,
    ViewRelation,
)
from pose_obj_3d.tracks.types import Windows

REFINEMENT_BLOCKS = 2
HEADS = 8  # of refinement, interaction and view fusion


@dataclass(frozen=True)
class MHTConfig:
    """Size of the network; the defaults are those of the original's task configs.

    Attributes:
        num_keypoints: Number of different keypoints in the data.
        num_frames: Window length T, odd.
        embedding: Channels of the pre-embedding.
        width: Channels of the temporal transformer and of a hypothesis.
        num_hypotheses: Blocks of the temporal transformer, each giving one hypothesis.
        num_heads: Its attention heads.
        view_width: Channels of a view's token when views are fused.
        view_layers: Blocks of the view fusion.
        view_block: Size of the matrices that carry features from camera to camera.
        relation: Layers and channels of the network that makes these matrices from a relative pose.
        mask_self: Whether a view must not listen to itself in the view fusion.
        mask_rate: Share of views left out in training; at least one stays.
        confidence: How the weights enter the embedding: modulate, concat, no.
        dropout: Rate, also of the stochastic depth of refinement and interaction.
        view_dropout: Rate in the view fusion.
    """

    num_keypoints: int
    num_frames: int = 7
    embedding: int = 256
    width: int = 256
    num_hypotheses: int = 4
    num_heads: int = 8
    view_width: int = 512
    view_layers: int = 2
    view_block: int = 4
    relation: tuple[int, int] = (2, 256)
    mask_self: bool = False
    mask_rate: float = 0.0
    confidence: str = "modulate"
    dropout: float = 0.1
    view_dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check what several values must agree on."""
        for key, value, by in (
            ("NETWORK.T_FORMER.NUM_CHANNELS", self.width, HEADS),
            ("NETWORK.T_FORMER.NUM_CHANNELS", self.width, self.num_heads),
            ("NETWORK.AFTER_MHF_DIM", self.view_width, HEADS * self.view_block),
        ):
            if value % by:
                raise ConfigError(f"{key} is {value}; allowed: multiples of {by}")
        if self.confidence not in CONFIDENCE_METHODS:
            allowed = ", ".join(CONFIDENCE_METHODS)
            raise ConfigError(
                f"NETWORK.CONFIDENCE_METHOD is {self.confidence!r}; allowed: {allowed}"
            )


class MHT(Normalised):
    """(B, T, V, K, 2) tracks -> (B, K, 3) keypoints, with the predictions of its stages."""

    def __init__(self, config: MHTConfig) -> None:
        super().__init__()
        self.config = config
        self._part: tuple[slice, int] | None = None  # which windows of a batch of so many come next
        c, w, kept = config, config.width, config.num_hypotheses - 1
        self.embed = PreEmbedding(c.num_keypoints, c.embedding, c.confidence, c.dropout)
        self.widen = nn.Linear(c.embedding, w)
        self.frame = nn.Parameter(0.02 * torch.randn(c.num_frames, w))
        self.temporal = nn.ModuleList(
            TransformerBlock(w, c.num_heads, c.dropout) for _ in range(c.num_hypotheses)
        )
        self.norm_hypotheses = nn.LayerNorm(c.num_hypotheses * w)
        self.fuse_hypotheses = nn.Linear(c.num_hypotheses * w, kept * w)
        self.refine = nn.ModuleList(
            Refinement(REFINEMENT_BLOCKS, w, HEADS, c.dropout) for _ in range(kept)
        )
        self.interact = CrossInteraction(kept, w, HEADS, c.dropout, c.dropout)
        self.view = nn.Linear(kept * w, c.view_width)
        self.relation = ViewRelation(c.view_layers, HEADS, c.view_block, c.relation)
        self.views = nn.ModuleList(
            ViewFusion(c.view_width, HEADS, c.view_dropout) for _ in range(c.view_layers)
        )
        self.hypothesis_heads = nn.ModuleList(
            PointHead(w, c.num_keypoints) for _ in range(c.num_hypotheses)
        )
        self.view_head = PointHead(c.view_width, c.num_keypoints)
        self.point_head = PointHead(c.view_width, c.num_keypoints)
        self.ray_head = RayHead(c.view_width, c.num_keypoints, c.num_frames)

    def forward(self, windows: Windows, rig: Rig) -> Prediction:
        """Lift the centre frame of each window.

        Args:
            windows: B windows of T frames; measurements of weight 0 do not influence the result.
            rig: The cameras, float32.

        Returns:
            xyz (B, K, 3) [m]; intermediate: the hypotheses (H, B, K, 3) and the unfused views (1,
            B, K, 3).
        """
        scene = Scene.of(rig, self.position_mean, self.position_scale.max())
        weights = self.used_weights(windows)
        is_seen = weights.transpose(1, 2).amax(-1) > 0  # (B, V, T)
        is_there = is_seen.any(-1)  # (B, V)
        uv = torch.where(weights.unsqueeze(-1) > 0, windows.uv, 0.0)
        present = Present(is_there)
        self._let_draw(*self._batch(windows), present)
        with self._arithmetic(uv.device):
            hypotheses = self._hypotheses(
                uv, weights, windows.keypoint, scene, present
            )  # H x (n, T, D)
        c, slot = windows.centre, windows.keypoint
        centres = [present.spread(x[:, c]) for x in hypotheses]
        said = [
            h(x, slot, scene, is_there)[0]
            for h, x in zip(self.hypothesis_heads, centres, strict=True)
        ]
        with self._arithmetic(uv.device):
            refined = self._refined(torch.cat(hypotheses, -1), present.pick(is_seen.flatten(0, 1)))
        tokens = present.spread(refined.float())  # (B, V, D)
        of_views, _ = self.view_head(tokens, slot, scene, is_there)
        tokens = self._fused(tokens, is_there, rig)
        points, near = self.point_head(tokens, slot, scene, is_there)
        rays = self.ray_head(tokens, slot, scene, uv, weights, near)
        total = sum(said, of_views) + points + rays
        stages = (torch.stack([g.mean() for g in said]), of_views.mean()[None])
        return Prediction(
            scene.world(total.mean()), intermediate=tuple(scene.world(x) for x in stages)
        )

    def _arithmetic(self, device: torch.device) -> torch.autocast:
        """Let the transformers train with bfloat16. The heads need more digits."""
        is_rough = self.training and self.uses_bfloat16
        return torch.autocast(device.type, torch.bfloat16, enabled=is_rough)

    def take_part(self, rows: slice, total: int) -> None:
        """Draw for the whole batch what is left out, and use what concerns these windows."""
        self._part = rows, total

    def _batch(self, windows: Windows) -> tuple[int, Tensor]:
        """Return how many windows the batch has, and the numbers (B,) of those here."""
        B, device = len(windows.uv), windows.uv.device
        rows, total = self._part if self.training and self._part else (slice(None), B)
        return total, torch.arange(total, device=device)[rows]

    def _let_draw(self, total: int, numbers: Tensor, present: Present) -> None:
        """Tell the layers which windows, or tracks of a window's view, come next."""
        V = present.shape[1]
        tracks = present.pick(
            (V * numbers[:, None] + torch.arange(V, device=numbers.device)).flatten()
        )
        of_views = set(self.views.modules())
        for layer in self.modules():
            if isinstance(layer, BranchDropout):
                layer.batch = (total, numbers) if layer in of_views else (total * V, tracks)

    def used_weights(self, windows: Windows) -> Tensor:
        """Return weights (B, T, V, K) of what may be used; in training some views are masked."""
        weights = windows.weights * windows.is_distinct[..., None, None]
        weights = weights * (windows.keypoint >= 0)[:, None, None]
        if self.training and self.config.mask_rate > 0:
            total, numbers = self._batch(windows)
            draw = torch.rand(total, weights.shape[2], device=weights.device)[numbers]
            keep = (draw >= self.config.mask_rate) | (draw == draw.amax(1, keepdim=True))
            weights = weights * keep[:, None, :, None]
        return weights

    def _hypotheses(
        self, uv: Tensor, weights: Tensor, keypoint: Tensor, scene: Scene, present: Present
    ) -> list[Tensor]:
        """Embed the tracks and run the temporal transformer: one (n, T, D) for each block."""
        B, T, V, _ = weights.shape
        coarse = torch.where(weights.unsqueeze(-1) > 0, scene.coarse_uv(uv), 0.0)
        features = torch.cat(
            [coarse, fine_uv(uv, weights, scene.sigma_px), weights.unsqueeze(-1)], -1
        )
        # Columns of the window -> one slot for each keypoint of the data.
        slots = torch.nn.functional.one_hot(keypoint + 1, self.config.num_keypoints + 1)[..., 1:]
        features = torch.einsum("btvkc,bkn->bvtnc", features, slots.to(features.dtype))
        features = present.pick(features.reshape(B * V, T, -1, 5))
        there = (features[..., 4] > 0).any(-1)
        x = self.embed(features[..., :2], features[..., 2:4], features[..., 4], there)
        x = self.widen(x) + self.frame  # in float32, as all sums of the blocks below
        found = []
        for block in self.temporal:
            x = block(x, x, there)
            found.append(x)
        return found

    def _refined(self, hypotheses: Tensor, is_seen: Tensor) -> Tensor:
        """Fuse hypotheses (n, T, H * D) of the frames seen (n, T); refine the centre frame's.

        Returns:
            (n, view_width).
        """
        n, T, _ = hypotheses.shape
        fused = self.fuse_hypotheses(self.norm_hypotheses(hypotheses)).reshape(
            n, T, -1, self.config.width
        )
        kept = [
            refine(memory, is_seen)
            for refine, memory in zip(self.refine, fused.unbind(2), strict=True)
        ]
        mixed: Tensor = self.view(self.interact(torch.stack(kept, 1)))
        return mixed

    def _fused(self, tokens: Tensor, is_there: Tensor, rig: Rig) -> Tensor:
        """Let the views (B, V, D) listen to each other."""
        V = tokens.shape[1]
        may_listen = is_there[:, None].expand(-1, V, -1)
        if self.config.mask_self:
            may_listen = may_listen & ~torch.eye(V, dtype=torch.bool, device=tokens.device)
        relations = self.relation(rig, self.position_scale.max())
        with self._arithmetic(tokens.device):
            for block, relation in zip(self.views, relations, strict=True):
                tokens = block(tokens, may_listen, relation)
        return tokens
