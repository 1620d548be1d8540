"""Actors and policies that are mixtures, and whose router sees the features of the state.

All take, beside SB3's arguments:

n_components
    Number of components K; 1 is SB3's policy, drawn from the same random stream.
router_arch
    Hidden layers of the router; none in the published code.
component_init_std
    Deviation of normal offsets that move the components apart at the start: of means before
    squashing, or of logits. 0 in the published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import torch
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import (
    get_action_dim,
    get_flattened_obs_dim,
    preprocess_obs,
)
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    MlpExtractor,
    create_mlp,
)
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import Actor, SACPolicy
from torch import nn

from agents.common.masked_ppo import MaskedActorCriticPolicy
from agents.pmoe.mixture import MixtureDistribution, check_mixture, spread, widened


class ComponentSamples(NamedTuple):
    """An action of each of the K components in N states.

    Attributes
    ----------
    log_weights
        log w, (N, K).
    actions
        In [-1, 1], (N, K, A).
    log_probs
        Log-density of every action, (N, K).
    """

    log_weights: torch.Tensor
    actions: torch.Tensor
    log_probs: torch.Tensor


class MixtureActor(Actor):
    """SAC's actor with K squashed Gaussians and a router; see the module for the arguments.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    router: nn.Module

    def __init__(
        self,
        *args: Any,
        n_components: int = 4,
        router_arch: Sequence[int] = (),
        component_init_std: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_mixture(n_components, component_init_std)
        super().__init__(*args, **kwargs)
        self.n_components = n_components
        self.router_arch = router_arch
        self.component_init_std = component_init_std
        #: Law of a component.
        self.gaussian = SquashedDiagGaussianDistribution(get_action_dim(self.action_space))
        self.mixture = MixtureDistribution(self.gaussian, n_components)
        self.action_dist = self.mixture  # type: ignore[assignment]
        mean, log_std = self.mu, self.log_std
        assert isinstance(mean, nn.Linear)
        assert isinstance(log_std, nn.Linear)
        with torch.random.fork_rng(devices=[]):
            self.mu = widened(mean, n_components)
            self.log_std = widened(log_std, n_components)
            self.router = self.mixture.proba_distribution_net(
                self.features_dim, router_arch, self.activation_fn
            )
            spread(self.mu, component_init_std)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {
            "n_components": self.n_components,
            "router_arch": self.router_arch,
            "component_init_std": self.component_init_std,
        }

    def get_action_dist_params(
        self, obs: PyTorchObs
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Return means and log-deviations, (N K, A), and log w, (N, K), by name."""
        means, log_stds, _ = super().get_action_dist_params(obs)
        features = self.extract_features(obs, self.features_extractor)
        log_weights = torch.log_softmax(self.router(features), dim=1)
        return (
            means.view(-1, self.gaussian.action_dim),
            log_stds.view(-1, self.gaussian.action_dim),
            {"log_weights": log_weights},
        )

    def sample_components(self, obs: PyTorchObs, of_mixture: bool) -> ComponentSamples:
        """Draw an action of every component, with gradients.

        Parameters
        ----------
        obs
            N states.
        of_mixture
            Return the log-density of the mixture, log sum_j w_j p_j(a_k), instead of that of the
            component that drew the action, log p_k(a_k). The weights are constants there: what
            the router learns is its own loss.
        """
        means, log_stds, extra = self.get_action_dist_params(obs)
        log_weights = extra["log_weights"]
        actions = self.mixture.proba_distribution(means, log_stds, **extra).sample_components()
        # The sample before tanh is kept: inverting tanh would lose digits near the bounds.
        before = self.gaussian.gaussian_actions
        assert before is not None
        if not of_mixture:
            log_probs = self.gaussian.log_prob(actions.flatten(0, 1), before)
            return ComponentSamples(log_weights, actions, log_probs.view_as(log_weights))
        num = self.n_components
        densities = []
        for k, action in enumerate(actions.unbind(1)):
            pair = (action, before.view_as(actions)[:, k])
            rows = (part.repeat_interleave(num, dim=0) for part in pair)
            by_component = self.gaussian.log_prob(*rows).view_as(log_weights)
            densities.append(torch.logsumexp(log_weights.detach() + by_component, dim=1))
        return ComponentSamples(log_weights, actions, torch.stack(densities, dim=1))


class PMOESACPolicy(SACPolicy):
    """SAC's policy with a :class:`MixtureActor`; see the module for the arguments."""

    actor: MixtureActor

    def __init__(
        self,
        *args: Any,
        n_components: int = 4,
        router_arch: Sequence[int] = (),
        component_init_std: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.mixture_kwargs: dict[str, Any] = {
            "n_components": n_components,
            "router_arch": router_arch,
            "component_init_std": component_init_std,
        }
        super().__init__(*args, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | self.mixture_kwargs

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> MixtureActor:
        """Build the actor."""
        actor_kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return MixtureActor(**actor_kwargs, **self.mixture_kwargs).to(self.device)


class PMOESACMultiInputPolicy(PMOESACPolicy):
    """The same for Dict observations."""

    def __init__(
        self,
        *args: Any,
        features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            features_extractor_class=features_extractor_class,  # type: ignore[misc]
            **kwargs,
        )


class FeaturesBehind(MlpExtractor):
    """SB3's layers of actor and critic; the actor's output has the features behind it."""

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """Latents and features side by side, (N, latent_dim_pi + features)."""
        return torch.cat([self.policy_net(features), features], dim=1)


class PMOEPPOPolicy(MaskedActorCriticPolicy):
    """SB3's actor-critic policy whose actor is a mixture, with a critic of actions for its router.

    Gaussians for Box actions, their deviations independent of the state; products of categoricals
    for MultiDiscrete and MultiBinary. The critic Q(s, a) has layers of its own, sized as those of
    V(s), and sees the features without training them. See the module for the arguments.

    Raises
    ------
    ValueError
        If an argument is outside its range, or actions are Discrete.
    """

    def __init__(
        self,
        *args: Any,
        n_components: int = 4,
        router_arch: Sequence[int] = (),
        component_init_std: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_mixture(n_components, component_init_std)
        self.n_components = n_components
        self.router_arch = router_arch
        self.component_init_std = component_init_std
        super().__init__(*args, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {
            "n_components": self.n_components,
            "router_arch": self.router_arch,
            "component_init_std": self.component_init_std,
        }

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = FeaturesBehind(
            self.features_dim, self.net_arch, self.activation_fn, self.device
        )

    def _build(self, lr_schedule: Schedule) -> None:
        if isinstance(self.action_space, gym.spaces.Discrete):
            raise ValueError(
                "env: expected Box, MultiDiscrete or MultiBinary actions, got"
                f" {self.action_space}: a mixture of categorical distributions is itself a"
                " categorical distribution, so PPO is the same"
            )
        super()._build(lr_schedule)
        num = self.n_components
        self.mixture = MixtureDistribution(self.masked_action_dist or self.action_dist, num)
        hidden = self.net_arch["vf"] if isinstance(self.net_arch, dict) else self.net_arch
        actions = get_flattened_obs_dim(self.action_space)
        assert isinstance(self.action_net, nn.Linear)
        with torch.random.fork_rng(devices=[]):
            orthogonal = partial(self.init_weights, gain=0.01) if self.ortho_init else _as_drawn
            self.action_net = widened(self.action_net, num, orthogonal)
            self.router = self.mixture.proba_distribution_net(
                self.features_dim, self.router_arch, self.activation_fn
            )
            spread(self.action_net, self.component_init_std)
            self.action_value_net = nn.Sequential(
                *create_mlp(self.features_dim + actions, 1, list(hidden), self.activation_fn)
            )
        if isinstance(self.action_space, gym.spaces.Box):
            self.log_std = nn.Parameter(self.log_std.detach().repeat(num, 1))
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> MixtureDistribution:
        sizes = [self.mlp_extractor.latent_dim_pi, self.features_dim]
        latent, features = torch.split(latent_pi, sizes, dim=1)
        log_weights = torch.log_softmax(self.router(features), dim=1)
        heads = self.action_net(latent).view(len(latent) * self.n_components, -1)
        if self.masked_action_dist is None:
            log_stds = self.log_std.expand(len(latent), -1, -1).flatten(0, 1)
            return self.mixture.proba_distribution(heads, log_stds, log_weights=log_weights)
        logits = self._categories(heads)
        self.mixture.proba_distribution(logits, log_weights=log_weights)
        if self._action_masks is not None:
            self.mixture.apply_masking(self._action_masks)
        return self.mixture

    def action_values(self, obs: PyTorchObs, actions: torch.Tensor) -> torch.Tensor:
        """Q(s, a) of several actions (N, M, A) in each of N states, (N, M)."""
        with torch.no_grad():
            features = super(ActorCriticPolicy, self).extract_features(
                obs, self.vf_features_extractor
            )
        assert isinstance(features, torch.Tensor)
        encoded = preprocess_obs(actions.flatten(0, 1), self.action_space, normalize_images=False)
        rows = features.repeat_interleave(actions.shape[1], dim=0)
        assert isinstance(encoded, torch.Tensor)
        values = self.action_value_net(torch.cat([rows, encoded], dim=1))
        return values.view(actions.shape[:2])

    def actor_critic_parameters(self) -> list[nn.Parameter]:
        """All parameters but those of Q(s, a)."""
        others = {id(parameter) for parameter in self.action_value_net.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in others]


class PMOEPPOMultiInputPolicy(PMOEPPOPolicy):
    """The same for Dict observations."""

    def __init__(
        self,
        *args: Any,
        features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            features_extractor_class=features_extractor_class,  # type: ignore[misc]
            **kwargs,
        )


def _as_drawn(layer: nn.Module) -> None:
    """Leave a layer as torch drew it."""
