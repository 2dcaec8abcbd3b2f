"""Spatio-temporal consensus (STC): a keypoint predicted from its other frames and other keypoints.

docs/models.md has the equations. Every frame comes triangulated robustly, with its covariance.
Every keypoint has linear filters of the frames around the centre, from long to short, and the mean
of all stretches of frames ("bins") that agree. A network says how to mix them; it sees only
quantities that no rotation or translation of the world changes. A long mix has little noise but
lags behind a motion. How far it lags is estimated from the shorter mixes of the other keypoints on
the same body. Up to here the keypoint's own measurement in the centre frame is not used: this
*blind* prediction can be scored against it without a 3D label. The last step fuses the two.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import KeypointAttention, Model, Prediction, fuse, softmax
from pose_obj_3d.models.consensus.calibration import (
    SUMMARY,
    fit_scales,
    scales,
    some_centres,
    summary,
    whitened,
)
from pose_obj_3d.models.consensus.context import Context, feature_count
from pose_obj_3d.models.consensus.mixes import mixes_before_training
from pose_obj_3d.models.consensus.rigid import rigid_displacement
from pose_obj_3d.models.consensus.scene.ground import Ground, on_ground
from pose_obj_3d.models.consensus.scene.persistence import frames_that_share
from pose_obj_3d.models.consensus.scene.rehearsal import known_errors
from pose_obj_3d.models.consensus.size import StcConfig
from pose_obj_3d.smoothing import filter_banks as filters
from pose_obj_3d.tracks.gathering import gather_bins, gather_windows
from pose_obj_3d.tracks.track_smoothing import drop_strays, filter_bank
from pose_obj_3d.tracks.types import Bank, Tracks, Windows

POLYNOMIALS = {
    "window": (filters.CENTRE, *filters.SYMMETRIC, *filters.ONE_SIDED),
    "track": (filters.CENTRE, *filters.ONE_SIDED),
}
SMOOTHERS: dict[str, filters.Smoothers] = {"window": (), "track": filters.SMOOTHERS}
_GATE_START, _GATE_SLOPE = 4.0, 1.5  # a bin's gate before training: open, shut where it disagrees
_LAG_GATE = 9.0  # squared lag, per coordinate in variances, at which trust in a keypoint has halved
_NO_INFO = 1.0  # [1/m^2] of a keypoint that was measured nowhere: know nothing
_LAG_STARTS = (3.5, 2.0, 3.0)  # minus log of the lag's deviation: unit, acceleration, velocity
_LAG_OUTPUTS = 5  # those three, trust in the others, log of the turn
_TURN_INFO = 1e4  # [1/rad^2] before training
_GROUND_START = 3.0  # logit of the frame itself before training, where errors last


class Stc(Model):
    """(B, T, V, K, 2) tracks -> (B, K, 3) keypoints with covariance, blind prediction included."""

    tables: Tensor
    noise: Tensor
    bits: Tensor
    calibration: Tensor

    def __init__(self, config: StcConfig) -> None:
        super().__init__()
        self.config = config
        self.bin_ranges = config.bin_ranges()
        self.smoothers, polynomials = SMOOTHERS[config.context], POLYNOMIALS[config.context]
        T, R, width, M = config.num_frames, len(self.bin_ranges), config.width, config.num_mixes
        self.near = slice(R // 2 - T // 2, R // 2 + T // 2)  # bins of single frames
        self.num_filters = H = len(polynomials) + len(self.smoothers)
        tables = [filters.polynomial_table(polynomials, T, blind) for blind in (False, True)]
        self.register_buffer("tables", torch.stack(tables), persistent=False)  # (2, 2^T, H', T)
        kernels = [
            torch.cat(
                [
                    filters.polynomial_kernels(polynomials, T, blind),
                    filters.smoother_kernels(self.smoothers, blind),
                ]
            )
            for blind in (False, True)
        ]
        self.register_buffer(
            "noise", torch.stack([k @ k.T for k in kernels]).float(), persistent=False
        )  # (2, H, H)
        self.register_buffer("bits", 2 ** torch.arange(T), persistent=False)
        self.identity = nn.Embedding(config.num_keypoints + 1, width)
        self.embed = nn.Linear(feature_count(T - 1, R, H), width)
        self.mlp = nn.Sequential(
            nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )
        layers = [
            KeypointAttention(width, config.num_heads, config.dropout)
            for _ in range(config.num_layers)
        ]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        self.mixes = nn.Linear(width, M * (H + 1))
        self.gates = nn.Linear(width, R)
        self.lags = nn.Linear(width, (M - 1) * _LAG_OUTPUTS)
        self.query = nn.Linear(width, (M - 1) * width // 2)
        self.key = nn.Linear(width, (M - 1) * width // 2)
        first, last = nn.Linear(6, width // 2), nn.Linear(width // 2, M - 1)
        self.pair = nn.Sequential(first, nn.GELU(), last)
        self.register_buffer(
            "calibration", torch.zeros(2, width + 1 + SUMMARY, dtype=torch.float64)
        )
        for layer in (self.mixes, self.gates, self.lags, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.mixes.bias.copy_(mixes_before_training(kernels[0], M).flatten())
        self.ground: Ground | None = None

    def gather(
        self, tracks: Tracks, centres: Tensor, num_frames: int, used_frames: int | None = None
    ) -> Windows:
        """Cut windows with their bins and, in track context, the smoothers of the whole example."""
        windows = gather_windows(tracks, centres, num_frames, used_frames)
        if self.ground is not None and not self.smoothers:
            return on_ground(windows, tracks, centres)
        bank = None
        if self.smoothers:
            if used_frames is not None:
                raise ConfigError(
                    "NETWORK.STC.CONTEXT track uses whole examples: leave out TEST.NUM_FRAMES and"
                    " --eval_n_frames"
                )
            full, blind = filter_bank(tracks, self.smoothers)
            bank = Bank(full[centres], blind[centres])
        return replace(
            windows, bins=gather_bins(tracks, centres, self.bin_ranges, used_frames), bank=bank
        )

    @property
    def leaves_out_views(self) -> bool:
        """So it is where errors last; only corrections of the ground are left to learn then."""
        return self.ground is not None

    def expect(self, names: Collection[str]) -> None:
        """Stand on a ground if, and only if, the weights have one."""
        is_there = any(name.startswith("ground.") for name in names)
        self.ground = self._new_ground() if is_there else None

    def learn(self, tracks: Tracks, rig: Rig) -> None:
        """Where errors last: learn what the scene's motion is estimated with (docs/models.md)."""
        shared = frames_that_share(tracks, rig, self.config.blind)
        if shared is None:
            return
        self.ground = self._new_ground()
        self.ground.learn(tracks, rig, shared)
        with torch.no_grad():
            self.mixes.bias.view(self.config.num_mixes, -1)[:, 0] = _GROUND_START

    def _new_ground(self) -> Ground:
        return Ground(self.config.num_keypoints).to(self.noise.device)

    def for_training(self, tracks: Tracks, rig: Rig, blind: bool) -> Tracks:
        """Where errors last: put the scene's motion, of all views but one if `blind`, under it."""
        return tracks if self.ground is None else self._on_ground(tracks, rig, blind=blind)

    def prepare(self, tracks: Tracks, rig: Rig, used_frames: int | None = None) -> Tracks:
        """Put the ground under the tracks; without one, in track context, drop strays."""
        if self.ground is not None:
            return self._on_ground(tracks, rig, used_frames=used_frames)
        return drop_strays(tracks) if self.smoothers else tracks

    def _on_ground(
        self, tracks: Tracks, rig: Rig, blind: bool = False, used_frames: int | None = None
    ) -> Tracks:
        assert self.ground is not None
        num_frames = None if self.smoothers else self.config.num_frames
        return self.ground.put_under(tracks, rig, num_frames, blind, used_frames)

    def forward(self, windows: Windows, rig: Rig) -> Prediction:
        """Lift the centre frame of each window.

        Args:
            windows: B windows from `gather`; measurements of weight 0 do not influence the result.
            rig: The cameras, float32.

        Returns:
            xyz (B, K, 3) [m] with its information, and the blind prediction with its own.
        """
        x = Context(windows, self.near)
        blind, cov, token = self._predict(windows, x)
        ground = self.ground
        cov = self._calibrated(cov, token, x) if ground is None else ground.claims(windows)
        eye = torch.eye(3, device=cov.device)
        inverse = geometry.invert_3x3(
            cov.double()
        ).float()  # float32 fails where a keypoint is fast
        info = torch.where(x.is_used.any(-1)[..., None, None], inverse, _NO_INFO * eye)
        is_blind_enough = self.training and windows.truth is None  # nothing else is scored then
        if ground is not None or is_blind_enough:  # on a ground, it has the frame's measurements
            return Prediction(blind, blind, info, info)
        c = windows.centre
        xyz, fused_info = fuse(blind, info, windows.uv[:, c], windows.robust[:, c], rig)
        return Prediction(xyz, blind, info, fused_info)

    def _calibrated(self, cov: Tensor, token: Tensor, x: Context) -> Tensor:
        """Scale the covariance (B, K, 3, 3), and make it rounder, as `calibrate` has found."""
        factor, share = (
            y.float()[..., None, None] for y in scales(summary(token, cov), self.calibration)
        )
        size = (cov * x.unit).sum((-1, -2))[..., None, None] / 3
        return factor * (cov + share * (size * geometry.invert_3x3(x.unit) - cov))

    def _predict(self, windows: Windows, x: Context) -> tuple[Tensor, Tensor, Tensor]:
        """Return blind predictions (B, K, 3) [m], covariances (B, K, 3, 3), tokens (B, K, D)."""
        is_real = windows.keypoint >= 0
        full, blind = self._filters(windows, x)
        token = self._tokens(x, blind, windows.keypoint, is_real)
        mean, full_mean, spread = self._means(windows, x, token, full[:, :, 0])
        full, blind = (
            torch.cat([bank, m.unsqueeze(2)], 2) for bank, m in ((full, full_mean), (blind, mean))
        )
        logits = self.mixes(token).unflatten(-1, (self.config.num_mixes, -1))
        mixes = softmax(logits)  # (B, K, M, H + 1)
        unit = geometry.invert_3x3(x.unit)
        first = mixes[:, :, 0]
        noise = torch.einsum("bkg,gh,bkh->bk", first[..., :-1], self.noise[1], first[..., :-1])
        # A minimum variance mean has its own variance as covariance with any other unbiased mean.
        rest = 1 - first[..., -1]
        cov = unit * noise[..., None, None] + spread * (1 - rest.square())[..., None, None]
        xyz = x.reference + torch.einsum("bkh,bkhi->bki", first, blind)
        shifts, spreads = self._lags(windows, x, token, mixes, full, blind, unit)
        return xyz + shifts.sum(1), cov + spreads.sum(1), token

    def _filters(self, windows: Windows, x: Context) -> tuple[Tensor, Tensor]:
        """Return full and blind filters about the reference, each (B, K, H, 3) [m].

        The first of the full ones is the frame itself. On a ground all are full: what scores it is
        another view.
        """
        is_used = (
            x.is_telling(windows.info.transpose(1, 2)) & windows.is_distinct[:, None]
        )  # (B, K, T)
        offset = torch.where(
            is_used[..., None], windows.xyz.transpose(1, 2) - x.reference.unsqueeze(2), 0.0
        )
        is_other = torch.arange(self.config.num_frames, device=offset.device) != windows.centre
        found = []
        patterns = [(0, is_used), (1, is_used & is_other)]
        for kind, used in patterns if self.ground is None else [patterns[0]] * 2:
            bank = self.tables[kind][(used * self.bits).sum(-1)] @ offset  # (B, K, H', 3)
            if windows.bank is not None:
                whole = (windows.bank.full, windows.bank.blind)[kind].transpose(1, 2)
                bank = torch.cat([bank, whole - x.reference.unsqueeze(2)], 2)
            found.append(bank)
        return found[0], found[1]

    def _tokens(self, x: Context, blind: Tensor, keypoint: Tensor, is_real: Tensor) -> Tensor:
        """Describe each keypoint by invariants, exchanged among a frame's keypoints: (B, K, D)."""
        token: Tensor = self.embed(x.features(blind)) + self.identity(keypoint + 1)
        token = token + self.mlp(token)
        for layer in self.layers:
            token = layer(token, is_real)
        normed: Tensor = self.norm(token)
        return normed

    def _means(
        self, windows: Windows, x: Context, token: Tensor, own: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Average the bins that agree.

        Returns:
            The mean without the centre frame and with it (B, K, 3) [m], and the covariance of the
            former (B, K, 3, 3) [m^2].
        """
        trust = (
            torch.sigmoid(self.gates(token) + _GATE_START - _GATE_SLOPE * x.disagreement())
            * x.is_used
        )
        weighted = trust[..., None, None] * x.info
        total = weighted.sum(2) + torch.eye(3, device=token.device)
        moment = torch.einsum("bkrij,bkrj->bki", weighted, x.offset)
        spread = geometry.invert_3x3(total)
        info = windows.info[:, windows.centre]
        full = geometry.invert_3x3(total + info) @ (moment.unsqueeze(-1) + info @ own.unsqueeze(-1))
        return (spread @ moment.unsqueeze(-1)).squeeze(-1), full.squeeze(-1), spread

    def _lags(
        self,
        windows: Windows,
        x: Context,
        token: Tensor,
        mixes: Tensor,
        full: Tensor,
        blind: Tensor,
        unit: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Estimate how far each mix lags behind the next shorter one, by keypoints that move alike.

        Args:
            windows: The input.
            x: Its bins.
            token: (B, K, D).
            mixes: (B, K, M, H + 1).
            full: (B, K, H + 1, 3) filters that have seen the centre frame: of the other keypoints
                [m].
            blind: (B, K, H + 1, 3) those that have not: of the keypoint itself [m].
            unit: (B, K, 3, 3) covariance of a single frame [m^2].

        Returns:
            Displacements (B, M - 1, K, 3) [m] with covariance (B, M - 1, K, 3, 3) [m^2].
        """
        n, K = self.config.num_mixes - 1, token.shape[1]
        itself = torch.eye(K, dtype=torch.bool, device=token.device)
        own_info = windows.info[:, windows.centre]
        is_measured = (own_info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0) & (windows.keypoint >= 0)
        counts = is_measured.unsqueeze(1) | (itself & x.is_used.any(-1).unsqueeze(1))
        pairs = x.pair_features()
        q, k = (layer(token).unflatten(-1, (n, -1)) for layer in (self.query, self.key))
        alike = torch.einsum("bknd,bjnd->bkjn", q, k) / math.sqrt(q.shape[-1])
        alike = torch.sigmoid(alike + self.pair(pairs) + 1 - pairs[..., :1] / 2) * counts.unsqueeze(
            -1
        )
        size, bend, pace, trust, turn = (
            self.lags(token).unflatten(-1, (n, -1)).transpose(1, 2).unbind(-1)
        )
        prior = (
            unit.unsqueeze(1) * (2 * (size - _LAG_STARTS[0])).clamp(-10, 8).exp()[..., None, None]
        )
        for v, s, start in (
            (x.acceleration, bend, _LAG_STARTS[1]),
            (x.velocity, pace, _LAG_STARTS[2]),
        ):
            prior = (
                prior
                + _outer(v).unsqueeze(1) * (2 * (s - start)).clamp(-12, 4).exp()[..., None, None]
            )
        change = mixes[:, :, 1:] - mixes[:, :, :-1]  # (B, K, n, H + 1)
        # The keypoint that looks last, its mixes before: (B, K, 3, n, K), without a copy on the
        # way.
        seen = full.transpose(2, 3).flatten(1, 2) @ change.permute(0, 3, 2, 1).flatten(2)
        own = torch.einsum("bknh,bkhi->bink", change, blind)
        delta = torch.where(itself[:, None, None], own.unsqueeze(1), seen.reshape(-1, K, 3, n, K))
        c = change[..., :-1]
        noise = ((c @ self.noise[0]) * c).sum(-1).transpose(1, 2) + 1e-2  # in variances of a frame
        plausible = noise + 4 * (prior * x.unit.unsqueeze(1)).sum((-1, -2)) / 3
        square = (
            (delta * (x.unit @ delta.flatten(3)).reshape(delta.shape)).sum(2)
            / 3
            / plausible.unsqueeze(1)
        )
        belief = (trust.exp().clamp(0.05, 20) / noise).unsqueeze(1) / (1 + square / _LAG_GATE)
        weight = belief * alike.permute(0, 2, 3, 1)
        turn_info = _TURN_INFO * (2 * turn).clamp(-8, 8).exp()
        prior_info = geometry.invert_3x3(prior.double())
        return rigid_displacement(delta, x.unit, weight, x.reference, prior_info, turn_info)

    @torch.no_grad()
    def calibrate(self, parts: Sequence[Tracks], rig: Rig, batch_size: int) -> None:
        """Scale covariances to how far measurements are from blind predictions.

        On a ground: to how far predictions are off in rehearsals.
        """
        self.eval()
        T = self.config.num_frames
        if self.ground is not None:
            predict = partial(self._predictions, batch_size=batch_size)
            self.ground.calibrate(y for t in parts for y in known_errors(t, rig, self, predict))
            return
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for tracks, centres in some_centres(parts, batch_size):
            windows = self.gather(tracks, centres, T)
            x, c = Context(windows, self.near), windows.centre
            xyz, cov, token = self._predict(windows, x)
            info, difference = windows.info[:, c], windows.xyz[:, c] - xyz
            scored = (
                (info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0)
                & (windows.keypoint >= 0)
                & x.is_used.any(-1)
            )
            found.append(
                (
                    summary(token, cov)[scored],
                    *whitened(cov[scored], info[scored], difference[scored]),
                )
            )
        features, variances, deviations = (torch.cat(x) for x in zip(*found, strict=True))
        with torch.enable_grad():
            self.calibration.copy_(fit_scales(features, variances, deviations))

    def _predictions(self, tracks: Tracks, batch_size: int) -> Iterator[tuple[Windows, Tensor]]:
        every = torch.arange(len(tracks), device=tracks.uv.device)
        for centres in torch.split(every, batch_size):
            windows = self.gather(tracks, centres, self.config.num_frames)
            yield windows, self._predict(windows, Context(windows, self.near))[0]


def _outer(v: Tensor) -> Tensor:
    return v.unsqueeze(-1) * v.unsqueeze(-2)
