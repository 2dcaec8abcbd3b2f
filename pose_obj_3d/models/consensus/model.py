"""Spatio-temporal consensus (STC): a keypoint predicted from its other frames and other keypoints.

docs/models.md has the equations. Every frame comes triangulated robustly, with its covariance.
Every keypoint has linear filters of the frames around the centre, from long to short, and the mean
of all stretches of frames ("bins") that agree. A network says how to mix them; it sees only
quantities that no rotation or translation of the world changes. A long mix has little noise but
lags behind a motion. How far it lags is estimated from the shorter mixes of the other keypoints on
the same body. Up to here the keypoint's own measurement in the centre frame is not used: this
*blind* prediction can be scored against it without a 3D label. The last step fuses the two.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry import symmetric
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model, Prediction, fuse
from pose_obj_3d.models.consensus.calibration import (
    SHARE_BEFORE,
    SUMMARY,
    fit_scales,
    scales,
    some_centres,
    summary,
    whitened,
)
from pose_obj_3d.models.consensus.context import Context, feature_count
from pose_obj_3d.models.consensus.lags import OUTPUTS, Opinion, lags
from pose_obj_3d.models.consensus.layers import (
    BatchDropout,
    KeypointAttention,
    affine,
    quadratic,
    sequence,
)
from pose_obj_3d.models.consensus.mixes import first_and_changes, mixed, mixes_before_training
from pose_obj_3d.models.consensus.scene.ground import Ground, on_ground
from pose_obj_3d.models.consensus.scene.lasting_claims import LastingClaims, Rehearsed, do_last
from pose_obj_3d.models.consensus.scene.persistence import frames_that_share, has_enough_views
from pose_obj_3d.models.consensus.scene.rehearsal import known_errors
from pose_obj_3d.models.consensus.seen import SEEN, Seen, count_of, rows_of, shapes_of
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
_NO_INFO = 1.0  # [1/m^2] of a keypoint that was measured nowhere: know nothing
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
        # (2, H + 1, H + 1): none of the mean of all bins, which has its own.
        noise = torch.stack([nn.functional.pad(k @ k.T, (0, 1, 0, 1)) for k in kernels])
        self.register_buffer("noise", noise.float(), persistent=False)
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
        self.lags = nn.Linear(width, (M - 1) * OUTPUTS)
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
        self.lasting: LastingClaims | None = None

    def gather(
        self, tracks: Tracks, centres: Tensor, num_frames: int, used_frames: int | None = None
    ) -> Windows:
        """Cut windows with their bins and, in track context, the smoothers of the whole example."""
        if SEEN in tracks.cache and used_frames is None:
            known = tracks.cache[SEEN].index_select(0, centres)
            return replace(gather_windows(tracks, centres, 1), seen=known)
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
            bank = Bank(*(found[centres] for found in filter_bank(tracks, self.smoothers)))
        return replace(
            windows, bins=gather_bins(tracks, centres, self.bin_ranges, used_frames), bank=bank
        )

    @property
    def leaves_out_views(self) -> bool:
        """So it is where errors last; only corrections of the ground are left to learn then."""
        return self.ground is not None

    @property
    def tail(self) -> float:
        """How heavy the tails of its errors are: on a ground, as its rehearsal has shown."""
        return 0.0 if self.ground is None else self.ground.known_tail

    def expect(self, names: Collection[str]) -> None:
        """Stand on a ground, and scale what is claimed, if, and only if, the weights say how."""
        self.ground = self._new_ground("ground.tail" in names) if _has(names, "ground") else None
        self.lasting = self._new_lasting() if _has(names, "lasting") else None

    def learn(self, tracks: Tracks, rig: Rig) -> None:
        """Where errors last: learn what the scene's motion is estimated with (docs/models.md)."""
        shared = frames_that_share(tracks, rig, self.config.blind)
        if shared is None:
            return
        self.ground = self._new_ground()
        self.ground.learn(tracks, rig, shared)
        with torch.no_grad():
            self.mixes.bias.view(self.config.num_mixes, -1)[:, 0] = _GROUND_START

    def _new_ground(self, has_tail: bool = True) -> Ground:
        return Ground(self.config.num_keypoints, has_tail).to(self.noise.device)

    def _new_lasting(self) -> LastingClaims:
        return LastingClaims(self.config.num_keypoints).to(self.noise.device)

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

    def take_part(self, rows: slice, total: int) -> None:
        """Draw for the whole batch what is dropped, and use what concerns these windows."""
        for layer in self.modules():
            if isinstance(layer, BatchDropout):
                layer.part = rows, total

    def remember(self, tracks: Tracks, limit: int) -> Tracks:
        """Work out once what the network sees of every window, if that takes no more memory."""
        shapes = self._shapes(tracks.xyz.shape[1])
        if count_of(shapes) * len(tracks) * tracks.xyz.element_size() > limit:
            return tracks
        kept = replace(tracks)
        with torch.no_grad():
            kept.cache[SEEN] = rows_of(
                torch.arange(len(tracks), device=tracks.uv.device),
                lambda centres: self._look(self.gather(tracks, centres, self.config.num_frames)),
            )
        return kept

    def forward(self, windows: Windows, rig: Rig) -> Prediction:
        """Lift the centre frame of each window.

        Args:
            windows: B windows from `gather`; measurements of weight 0 do not influence the result.
            rig: The cameras, float32.

        Returns:
            xyz (B, K, 3) [m] with its information, and the blind prediction with its own.
        """
        seen = self._seen(windows)
        position, cov, token = self._predict(seen)
        cov = self._calibrated(cov, token, seen) if self.ground is None else seen.claims
        # float32 fails where a keypoint is fast.
        inverse = symmetric.invert(cov.double()).float()
        nothing = inverse.new_tensor([_NO_INFO, 0, 0, _NO_INFO, 0, _NO_INFO])[:, None, None]
        info = _first(symmetric.unpack(torch.where(seen.is_used.amax(0) > 0, inverse, nothing)))
        blind = _first(position)
        # On a ground, it has the frame's measurements; without labels nothing else is scored.
        if self.ground is not None or (self.training and windows.truth is None):
            return Prediction(blind, blind, info, info)
        c = windows.centre
        xyz, fused_info = fuse(blind, info, windows.uv[:, c], windows.robust[:, c], rig)
        if self.lasting is not None:
            fused_info = self.lasting.scaled(seen, fused_info)
        return Prediction(xyz, blind, info, fused_info)

    def _calibrated(self, cov: Tensor, token: Tensor, seen: Seen) -> Tensor:
        """Scale the covariance (6, K, B), and make it rounder, as `calibrate` has found."""
        size = symmetric.inner(cov, seen.unit) / 3
        rounder = size * seen.spread - cov
        if not self.calibration.any():  # in training
            return cov + SHARE_BEFORE * rounder
        about = summary(_first(token), _first(symmetric.unpack(cov)))
        factor, share = (y.T.float() for y in scales(about, self.calibration))
        return factor * (cov + share * rounder)

    def _shapes(self, num_keypoints: int) -> dict[str, tuple[int, ...]]:
        near, has_ground = self.config.num_frames - 1, self.ground is not None
        return shapes_of(num_keypoints, len(self.bin_ranges), self.num_filters, near, has_ground)

    def _seen(self, windows: Windows) -> Seen:
        if windows.seen is None:
            return self._look(windows)
        return Seen.of_rows(windows.seen, self._shapes(windows.keypoint.shape[1]))

    def _look(self, windows: Windows) -> Seen:
        x = Context(windows, self.near)
        claims = None if self.ground is None else self.ground.claims(windows)
        return Seen.of(windows, x, *self._filters(windows, x), claims)

    def _predict(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        """Return blind predictions (3, K, B) [m], covariances (6, K, B), tokens (D, K, B)."""
        tokens = self._tokens(seen)
        logits, gates, of_lags, query, key = self._heads(tokens, seen.keypoint.shape)
        token = tokens.T.view(-1, *seen.keypoint.shape)
        full_mean, mean, spread = self._means(seen, gates)
        first, changes = first_and_changes(
            logits.view(self.config.num_mixes, -1, *logits.shape[1:])
        )
        # A minimum variance mean has its own variance as covariance with other unbiased means.
        cov = seen.spread * quadratic(self.noise[1], first)
        cov = cov + spread * (1 - (1 - first[-1]).square())
        blind, delta = mixed(first, changes, seen.full, seen.blind, full_mean, mean)
        opinion = Opinion(of_lags, query, key, sequence(self.pair, seen.pairs))
        noise = quadratic(self.noise[0], changes.transpose(0, 1))
        shifts, spreads = lags(seen, opinion, delta, noise)
        return seen.reference + blind + shifts.sum(1), cov + spreads.sum(1), token

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

    def _tokens(self, seen: Seen) -> Tensor:
        """Describe each keypoint by invariants, exchanged among a frame's keypoints: (K B, D)."""
        known = torch.arange(self.config.num_keypoints + 1, device=seen.keypoint.device) - 1
        is_it = (seen.keypoint == known[:, None, None]).to(seen.keypoint)
        weight = torch.cat([self.embed.weight.T, self.identity.weight])
        features = torch.cat([seen.features, is_it]).flatten(1)
        token = torch.addmm(self.embed.bias, features.T, weight)
        token = token + self.mlp(token)
        for layer in self.layers:
            token = layer(token, seen.keypoint < 0)
        normed: Tensor = self.norm(token)
        return normed

    def _heads(self, token: Tensor, shape: torch.Size) -> Sequence[Tensor]:
        """Apply the last layers at once, to tokens (K B, D): each (*, K, B)."""
        heads = [self.mixes, self.gates, self.lags, self.query, self.key]
        weight = torch.cat([head.weight for head in heads])
        bias = torch.cat([head.bias for head in heads])
        out = affine(weight, bias, token.T).view(-1, *shape)
        return torch.split(out, [head.out_features for head in heads])

    def _means(self, seen: Seen, gates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Average the bins that agree.

        Returns:
            The mean with the centre frame and without it (3, K, B) [m], and the covariance of the
            latter (6, K, B) [m^2].
        """
        trust = (gates + _GATE_START - _GATE_SLOPE * seen.disagreement).sigmoid() * seen.is_used
        total = symmetric.add_to_diagonal((trust * seen.info).sum(1), 1.0)
        moment = (trust * seen.push).sum(1)
        spread = symmetric.invert(total)
        measured = symmetric.apply(seen.own, seen.full[0])
        full = symmetric.apply(symmetric.invert(total + seen.own), moment + measured)
        return full, symmetric.apply(spread, moment), spread

    @torch.no_grad()
    def calibrate(self, parts: Sequence[Tracks], rig: Rig, batch_size: int) -> None:
        """Scale covariances to how far measurements are from blind predictions.

        On a ground, and where errors last: to how far predictions are off in rehearsals.
        """
        self.eval()
        if self.ground is not None:
            predict = partial(self._predictions, batch_size=batch_size)
            self.ground.calibrate(y for t in parts for y in known_errors(t, rig, self, predict))
            return
        self.lasting = None
        if do_last(parts[0]) and has_enough_views(parts[0]):
            self._calibrate_lasting(parts, rig, batch_size)
            return
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for tracks, centres in some_centres(parts, batch_size):
            windows = self.gather(tracks, centres, self.config.num_frames)
            seen, c = self._look(windows), windows.centre
            position, covariance, state = self._predict(seen)
            cov, token = _first(symmetric.unpack(covariance)), _first(state)
            info, difference = windows.info[:, c], windows.xyz[:, c] - _first(position)
            scored = _first(seen.is_measured * seen.is_used.amax(0)) > 0
            found.append(
                (
                    summary(token, cov)[scored],
                    *whitened(cov[scored], info[scored], difference[scored]),
                )
            )
        features, variances, deviations = (torch.cat(x) for x in zip(*found, strict=True))
        with torch.enable_grad():
            self.calibration.copy_(fit_scales(features, variances, deviations))

    def _calibrate_lasting(self, parts: Sequence[Tracks], rig: Rig, batch_size: int) -> None:
        self.calibration.zero_()
        predict = partial(self._fused, rig=rig.float(), batch_size=batch_size)
        known = [known_errors(t, rig, self, predict, is_average=True) for t in parts]
        self.lasting = self._new_lasting()  # its factor is 1 before the fit
        self.lasting.calibrate((y for some in known for y in some), parts[0])

    def _fused(self, tracks: Tracks, rig: Rig, batch_size: int) -> Iterator[Rehearsed]:
        for windows in self._every_window(tracks, batch_size):
            found = self(windows, rig)
            yield (self._look(windows), found.info), found.xyz

    def _predictions(self, tracks: Tracks, batch_size: int) -> Iterator[tuple[Windows, Tensor]]:
        for windows in self._every_window(tracks, batch_size):
            yield windows, _first(self._predict(self._look(windows))[0])

    def _every_window(self, tracks: Tracks, batch_size: int) -> Iterator[Windows]:
        for centres in torch.split(torch.arange(len(tracks)).to(tracks.uv.device), batch_size):
            yield self.gather(tracks, centres, self.config.num_frames)


def _has(names: Collection[str], part: str) -> bool:
    return any(name.startswith(f"{part}.") for name in names)


def _first(x: Tensor) -> Tensor:
    """Put windows first, then keypoints, then entries: (*, K, B) -> (B, K, *)."""
    return x.permute(-1, -2, *range(x.dim() - 2))
