"""rl-zoo3 imports a module of this name, if there is one, before it reads its command line."""

import benchmarks.rl_zoo3  # noqa: F401
