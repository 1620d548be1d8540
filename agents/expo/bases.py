"""Base policies: they imitate, and nothing else; no gradient of a critic passes through them."""

from __future__ import annotations

import abc
import math
import zlib
from typing import Any, Literal, get_args

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, create_mlp
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn

from agents.rlpd.critics import join

BaseName = Literal["ddpm", "flow", "gmm", "gaussian"]

#: Bounds of the logarithms of the mixture's standard deviations; actions are in [-1, 1].
LOG_STD_MIN, LOG_STD_MAX = -5.0, 1.0
#: Least and largest beta of the variance-preserving schedule.
BETA_MIN, BETA_MAX = 0.1, 10.0


class Base(BaseModel, abc.ABC):
    """A policy that is trained by imitation and can be sampled.

    Parameters
    ----------
    observation_space, action_space, features_extractor, features_dim, normalize_images
        As in Stable-Baselines3's actors.
    """

    features_extractor: BaseFeaturesExtractor

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        normalize_images: bool = True,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            features_extractor=features_extractor,
            normalize_images=normalize_images,
        )
        self.features_dim = features_dim
        self.action_dim = get_action_dim(action_space)

    def loss(self, observations: PyTorchObs, actions: torch.Tensor) -> torch.Tensor:
        """Imitation loss of actions (B, d) in [-1, 1], a scalar."""
        features = self.extract_features(observations, self.features_extractor)
        return self._loss(features, actions)

    def sample(self, observations: PyTorchObs, num: int, noise: Noise) -> torch.Tensor:
        """Draw ``num`` actions for every observation, (B, num, d) in [-1, 1]."""
        features = self.extract_features(observations, self.features_extractor)
        return self._sample(features, num, noise).clamp(-1, 1)

    @abc.abstractmethod
    def _loss(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Loss by features (B, F)."""

    @abc.abstractmethod
    def _sample(self, features: torch.Tensor, num: int, noise: Noise) -> torch.Tensor:
        """Actions (B, num, d), not yet clipped."""


class Noise:
    """Random numbers for every observation of a batch.

    Parameters
    ----------
    observations
        The batch.
    fixed
        Whether the numbers are a function of the observation: the same one meets the same noise,
        whatever else is in the batch, and torch's generator is left alone.
    """

    def __init__(self, observations: PyTorchObs, fixed: bool = False) -> None:
        if isinstance(observations, dict):
            parts = [observations[key] for key in sorted(observations)]
        else:
            parts = [observations]
        self._rows, self._device = len(parts[0]), parts[0].device
        self._generators: list[torch.Generator] = []
        if fixed:
            rows = zip(*(part.cpu().numpy() for part in parts), strict=True)
            seeds = [zlib.crc32(b"".join(part.tobytes() for part in row)) for row in rows]
            self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.fixed = fixed

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers (B, *shape)."""
        return self._draw(torch.randn, shape)

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform numbers on [0, 1), (B, *shape)."""
        return self._draw(torch.rand, shape)

    def _draw(self, law: Any, shape: tuple[int, ...]) -> torch.Tensor:
        if not self.fixed:
            drawn: torch.Tensor = law(self._rows, *shape, device=self._device)
            return drawn
        return torch.stack([law(shape, generator=one) for one in self._generators]).to(self._device)


class MixtureBase(Base):
    """Mixture of Gaussians, by maximum likelihood; one step, which suits CPUs.

    Parameters
    ----------
    components
        K; 1 is a Gaussian.
    net_arch
        Hidden layers.
    **kwargs
        See :class:`Base`.
    """

    def __init__(
        self, components: int = 5, net_arch: tuple[int, ...] = (256, 256), **kwargs: Any
    ) -> None:
        if components < 1:
            raise ValueError(f"components: expected an integer >= 1, got {components}")
        super().__init__(**kwargs)
        self.components = components
        outputs = components * (1 + 2 * self.action_dim)
        self.net = nn.Sequential(*create_mlp(self.features_dim, outputs, list(net_arch), nn.SiLU))

    def parameters_of(
        self, features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-weights (B, K), means and log-deviations (B, K, d)."""
        out = self.net(features)
        weights, rest = out[:, : self.components], out[:, self.components :]
        mean, log_std = rest.reshape(len(out), self.components, -1).chunk(2, dim=2)
        return weights.log_softmax(dim=1), mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def _loss(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """-log sum_k w_k N(a; mu_k, sigma_k), mean over the batch."""
        weights, mean, log_std = self.parameters_of(features)
        z = (actions[:, None] - mean) / log_std.exp()
        densities = -(0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(dim=2)
        return -(weights + densities).logsumexp(dim=1).mean()

    def _sample(self, features: torch.Tensor, num: int, noise: Noise) -> torch.Tensor:
        weights, mean, log_std = self.parameters_of(features)
        passed = noise.uniform(num, 1) >= weights.exp().cumsum(1)[:, None, :-1]
        chosen = passed.sum(dim=2)[..., None].expand(-1, -1, self.action_dim)
        drawn = noise.normal(num, self.action_dim)
        return mean.gather(1, chosen) + log_std.exp().gather(1, chosen) * drawn


class DenoisingBase(Base):
    """What diffusion and flow share: a residual network of action, observation and time.

    Parameters
    ----------
    steps
        Steps T from noise to an action.
    width, blocks
        Of the residual network: each block widens to ``4 width``.
    **kwargs
        See :class:`Base`.
    """

    def __init__(self, steps: int = 10, width: int = 256, blocks: int = 3, **kwargs: Any) -> None:
        for name, value in (("steps", steps), ("width", width), ("blocks", blocks)):
            if value < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {value}")
        super().__init__(**kwargs)
        self.steps = steps
        self.frequencies = nn.Parameter(0.2 * torch.randn(width // 2))
        self.time_net = nn.Sequential(
            nn.Linear(2 * (width // 2), width), nn.SiLU(), nn.Linear(width, width)
        )
        self.inputs = nn.Linear(self.features_dim + self.action_dim + width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.SiLU(),
                nn.Linear(4 * width, width),
            )
            for _ in range(blocks)
        )
        self.outputs = nn.Linear(width, self.action_dim)

    def _field(
        self, features: torch.Tensor, actions: torch.Tensor, time: torch.Tensor
    ) -> torch.Tensor:
        """The network's output for noisy actions (B, d) or (B, C, d) at times () or (B, 1)."""
        angles = 2 * math.pi * time[..., None] * self.frequencies
        known = self.time_net(torch.cat([angles.cos(), angles.sin()], dim=-1))
        known = known.reshape(-1, *(1,) * (actions.ndim - 2), known.shape[-1])
        x = join(features, actions)
        x = self.inputs(torch.cat([x, known.expand(*x.shape[:-1], -1)], dim=-1))
        for block in self.blocks:
            x = x + block(x)
        out: torch.Tensor = self.outputs(nn.functional.silu(x))
        return out


class DDPMBase(DenoisingBase):
    """Denoising diffusion (arXiv 2006.11239), variance preserving, that predicts the noise.

    With abar_t = prod_{s<=t} (1 - beta_s) the loss is E |eps - eps(sqrt(abar_t) a + sqrt(1 -
    abar_t) eps, s, t)|^2; every denoising step is clipped to [-1, 1].
    """

    betas: torch.Tensor
    abar: torch.Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        betas = variance_preserving(self.steps)
        self.register_buffer("betas", betas)
        self.register_buffer("abar", (1 - betas).cumprod(0))

    def _loss(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        step = torch.randint(self.steps, (len(actions), 1), device=actions.device)
        noise = torch.randn_like(actions)
        kept = self.abar[step]
        noisy = kept.sqrt() * actions + (1 - kept).sqrt() * noise
        predicted = self._field(features, noisy, step[:, 0] + 1.0)
        return (noise - predicted).square().sum(dim=1).mean()

    def _sample(self, features: torch.Tensor, num: int, noise: Noise) -> torch.Tensor:
        x = noise.normal(num, self.action_dim)
        for step in reversed(range(self.steps)):
            beta = self.betas[step]
            time = torch.tensor(step + 1.0, device=features.device)
            predicted = self._field(features, x, time)
            x = (x - beta / (1 - self.abar[step]).sqrt() * predicted) / (1 - beta).sqrt()
            if step:
                x = x + beta.sqrt() * noise.normal(num, self.action_dim)
            x = x.clamp(-1, 1)
        return x


class FlowBase(DenoisingBase):
    """Flow matching (arXiv 2210.02747): straight lines from noise z to the action.

    The loss is E |v(t a + (1 - t) z, s, t) - (a - z)|^2 with t ~ U[0, 1]; T Euler steps sample.
    """

    def _loss(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        time = torch.rand(len(actions), 1, device=actions.device)
        noise = torch.randn_like(actions)
        predicted = self._field(features, time * actions + (1 - time) * noise, time[:, 0])
        return (predicted - (actions - noise)).square().sum(dim=1).mean()

    def _sample(self, features: torch.Tensor, num: int, noise: Noise) -> torch.Tensor:
        x = noise.normal(num, self.action_dim)
        for step in range(self.steps):
            time = torch.tensor(step / self.steps, device=features.device)
            x = x + self._field(features, x, time) / self.steps
        return x


def variance_preserving(steps: int) -> torch.Tensor:
    """Discrete betas (T,) of dx = -beta(t) x / 2 dt + sqrt(beta(t)) dW with linear beta(t)."""
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    exponent = BETA_MIN / steps + 0.5 * (BETA_MAX - BETA_MIN) * (2 * t - 1) / steps**2
    return (1 - (-exponent).exp()).float()


def make_base(name: BaseName, options: dict[str, Any], **kwargs: Any) -> Base:
    """Build a base by its name.

    Parameters
    ----------
    name
        "ddpm", "flow", "gmm" or "gaussian".
    options
        Arguments of its class beside those of :class:`Base`.
    **kwargs
        Arguments of :class:`Base`.

    Raises
    ------
    ValueError
        If the name or an option is unknown or out of range.
    """
    if name not in get_args(BaseName):
        raise ValueError(f"base: expected one of {', '.join(get_args(BaseName))}, got {name!r}")
    cls = {"ddpm": DDPMBase, "flow": FlowBase}.get(name, MixtureBase)
    allowed = {
        "gmm": ("components", "net_arch"),
        "gaussian": ("net_arch",),
    }.get(name, ("steps", "width", "blocks"))
    for option in options:
        if option not in allowed:
            raise ValueError(
                f"base_kwargs: {name} has no option {option!r}; allowed are {', '.join(allowed)}"
            )
    if name == "gaussian":
        options = {**options, "components": 1}
    return cls(**options, **kwargs)
