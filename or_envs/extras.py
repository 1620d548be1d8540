"""Optional packages: which extra of this package brings one that is missing."""

from __future__ import annotations

import importlib.metadata
import re

#: Top-level modules whose distribution is not called like them.
_DISTRIBUTIONS = {"yaml": "pyyaml"}
_REQUIREMENT = re.compile(r"""([\w.-]+).*;.*\bextra == ["']([\w.-]+)["']""")


class MissingExtraError(ModuleNotFoundError):
    """An optional package is not installed; the one line says what needs it, and the remedy.

    Parameters
    ----------
    what
        What cannot be done without it, such as "rendering".
    module
        The module that was not found.
    """

    def __init__(self, what: str, module: str) -> None:
        extra = extra_of(module)
        remedy = (
            ", which is not installed" if extra is None else f": pip install 'or-envs[{extra}]'"
        )
        super().__init__(f"{what} needs {distribution_of(module)}{remedy}", name=module)


def distribution_of(module: str) -> str:
    """Name under which the package of a module is installed."""
    top = module.partition(".")[0]
    return _DISTRIBUTIONS.get(top, top.replace("_", "-"))


def extra_of(module: str) -> str | None:
    """The smallest extra with the package of a module, or ``None`` if no extra names it."""
    extras: dict[str, set[str]] = {}
    for requirement in _requirements():
        if match := _REQUIREMENT.match(requirement):
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            extras.setdefault(match[2], set()).add(name)
    wanted = distribution_of(module).lower()
    return min(
        (extra for extra, names in extras.items() if wanted in names),
        key=lambda extra: len(extras[extra]),
        default=None,
    )


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("or-envs") or []
    except importlib.metadata.PackageNotFoundError:  # a source tree that was not installed
        return []
