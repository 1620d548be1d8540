"""GNN-PPO: graph policies that score entities, trained by PPO with group baselines or a critic."""
