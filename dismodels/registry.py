"""Models by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fnmatch import fnmatch

from dismodels import segnext
from dismodels.backbones import mscan
from dismodels.isnet import ISNet, ISNetGTEncoder
from dismodels.model import Model
from dismodels.progressive import Progressive
from dismodels.u2net import U2Net, U2NetSmall

_MODELS: dict[str, Callable[..., Model]] = {
    "isnet": ISNet,
    "isnet_gt_encoder": ISNetGTEncoder,
    "mscan_tiny": mscan.TINY,
    "mscan_small": mscan.SMALL,
    "mscan_base": mscan.BASE,
    "mscan_large": mscan.LARGE,
    "progressive": Progressive,
    "segnext_tiny": segnext.TINY,
    "segnext_small": segnext.SMALL,
    "segnext_base": segnext.BASE,
    "segnext_large": segnext.LARGE,
    "u2net": U2Net,
    "u2net_small": U2NetSmall,
}


def list_models(pattern: str = "*") -> list[str]:
    """Names that :func:`create_model` knows and that match pattern (as file names do: ``*``, ``?``), sorted."""
    return sorted(name for name in _MODELS if fnmatch(name, pattern))


def create_model(name: str, **options: object) -> Model:
    """A model by its name, freshly initialised, in training mode.

    Args:
        name: one of :func:`list_models`.
        options: arguments of the architecture, such as ``in_channels=3`` and ``width=1.0``.

    Returns:
        The model; it remembers name and options as ``architecture`` and ``options``.

    Raises:
        ValueError: no model has the name.
        TypeError: the model has no such option; the message lists those it has.
    """
    if name not in _MODELS:
        raise ValueError(f"no model is called {name!r}; there are: {', '.join(list_models())}")
    known = inspect.signature(_MODELS[name]).parameters
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(f"{name} has no option {', '.join(unknown)}; it has: {', '.join(known)}")
    model = _MODELS[name](**options)
    model.architecture, model.options = name, dict(options)
    return model
