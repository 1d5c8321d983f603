"""Registration of ops with PyTorch: the only place that calls torch.library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from dislayers._runtime.backend import Choice, Implementation, choose

DEVICES = ("cpu", "cuda")

choices: dict[str, dict[str, Choice]] = {}
"""What runs for each op, by "package::op" and device; ``python -m dislayers`` prints it."""

_libraries: dict[str, torch.library.Library] = {}


def register(
    schema: str,
    implementations: Sequence[Implementation],
    fake: Callable[..., Any],
    *,
    backward: Callable[..., Any] | None = None,
    setup_context: Callable[..., Any] | None = None,
) -> Any:
    """Define an op, what runs on each device, its fake and its gradient.

    Args:
        schema: "package::op(Tensor x, ...) -> Tensor".
        implementations: fastest first; each device needs one that can run.
        fake: gives outputs of the right shape, dtype and strides without data, from the arguments of the schema.
        backward: (ctx, *gradients) to one gradient or None for each argument; None for an op without gradient.
        setup_context: (ctx, inputs, output), saves what backward needs.

    Returns:
        The op, callable with the schema's arguments.
    """
    name = schema.partition("(")[0]
    package, _, op = name.partition("::")
    library = _libraries.setdefault(package, torch.library.Library(package, "FRAGMENT"))
    library.define(schema.partition("::")[2], tags=(torch.Tag.pt2_compliant_tag,))
    choices[name] = {device: choose(implementations, device) for device in DEVICES}
    for device, choice in choices[name].items():
        library.impl(op, choice.implementation.run, device.upper())
    torch.library.register_fake(name, fake, lib=library)
    if backward is not None:
        torch.library.register_autograd(name, backward, setup_context=setup_context, lib=library)
    return getattr(getattr(torch.ops, package), op).default


def left_to_compiler(op: str, device: torch.device) -> bool:
    """Whether torch.compile is tracing an op that has no kernel on a device.

    The compiler fuses the op's formula and cannot look into a registered op, so it is then given the formula.
    """
    return torch.compiler.is_compiling() and choices[op][device.type].implementation.name == "reference"
