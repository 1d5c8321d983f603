"""Registration of ops with PyTorch: the only place that calls torch.library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from dislayers._runtime.backend import Choice, Implementation, choose
from dislayers._runtime.counting import count_as

DEVICES = ("cpu", "cuda")
REFERENCE = "reference"

choices: dict[str, dict[str, Choice]] = {}
"""What runs for each op, by "package::op" and device; ``python -m dislayers`` prints it."""

_libraries: dict[str, torch.library.Library] = {}


def not_differentiable(*_: object) -> None:
    """Raise: without any rule an op would give zeros or a wrong number, and no more than a warning."""
    raise NotImplementedError("this op has no gradient, or no second one")


def register(
    schema: str,
    reference: Callable[..., Any],
    fake: Callable[..., Any],
    *,
    kernels: Sequence[Implementation] = (),
    backward: Callable[..., Any] | None = not_differentiable,
    setup_context: Callable[..., Any] | None = None,
    counted_as: Callable[..., Any] | None = None,
) -> Any:
    """Define an op, what runs on each device, its fake and its gradient.

    Args:
        schema: "package::op(Tensor x, ...) -> Tensor".
        reference: plain PyTorch, takes the schema's arguments; runs where no kernel can.
        fake: gives outputs without data, with the shape, dtype and strides that every implementation gives.
        kernels: fastest first.
        backward: (ctx, *gradients) to one gradient or None for each argument; by default differentiating raises. None
            only for an op that takes no floating tensor: it saves 3 us a call.
        setup_context: (ctx, inputs, output), saves what backward needs.
        counted_as: plain PyTorch, takes the schema's arguments; ``torch.utils.flop_counter`` counts its products as the
            op's.

    Returns:
        The op, callable with the schema's arguments.
    """
    name = schema.partition("(")[0]
    package, _, op = name.partition("::")
    library = _libraries.setdefault(package, torch.library.Library(package, "FRAGMENT"))
    library.define(schema.partition("::")[2], tags=(torch.Tag.pt2_compliant_tag,))
    implementations = [*kernels, Implementation(REFERENCE, reference)]
    choices[name] = {device: choose(implementations, device) for device in DEVICES}
    for device, choice in choices[name].items():
        library.impl(op, choice.implementation.run, device.upper())
    torch.library.register_fake(name, fake, lib=library)
    if backward is not None:
        torch.library.register_autograd(name, backward, setup_context=setup_context, lib=library)
    packet = getattr(getattr(torch.ops, package), op)
    if counted_as is not None:
        count_as(packet, counted_as)
    return packet.default


def has_kernel(op: str, device: torch.device) -> bool:
    """Whether an op runs on a device other than in plain PyTorch."""
    chosen = choices[op].get(device.type)
    return chosen is not None and chosen.implementation.name != REFERENCE


def left_to_compiler(op: str, device: torch.device) -> bool:
    """Whether torch.compile is tracing an op that has no kernel on a device.

    The compiler fuses the op's formula and cannot look into a registered op, so it is then given the formula.
    """
    return torch.compiler.is_compiling() and not has_kernel(op, device)
