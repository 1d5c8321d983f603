"""Compiled kernels for the CPU run on PyTorch's threads, and on others in a process that was forked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dislayers._runtime.native import missing

pytestmark = [
    pytest.mark.skipif(bool(missing("cpu")), reason=missing("cpu")),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

# A kernel of many tasks, after an operation that started PyTorch's threads: twice in the process, then in its child,
# where PyTorch itself would wait for ever.
FORKED = """
import os
import numpy as np
import torch
from dislayers import depthwise_gelu

torch.set_num_threads(3)
generator = torch.Generator().manual_seed(0)
x, weight, bias = (torch.randn(shape, generator=generator) for shape in ((2, 64, 96, 96), (64, 1, 3, 3), (64,)))
torch.nn.functional.conv2d(x, weight, bias, groups=64)
expected = depthwise_gelu(x, weight, bias)
assert torch.equal(depthwise_gelu(x, weight, bias), expected)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(depthwise_gelu(x, weight, bias).numpy(), expected.numpy()) else 1)
assert os.waitpid(child, 0)[1] == 0
assert torch.equal(depthwise_gelu(x, weight, bias), expected)
"""


def test_a_forked_process_does_not_wait_for_its_parents_threads() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


# Maps that 2 and 3 threads share, between operations of PyTorch on 4.
FEWER = """
import os
import torch
from dislayers import depthwise_gelu

def threads():
    return set(os.listdir("/proc/self/task"))

torch.set_num_threads(4)
weight, bias, large = torch.ones(16, 1, 3, 3), torch.ones(16), torch.ones(400_000)
large.sin()
before = threads()
for side in (60, 70, 90):
    depthwise_gelu(torch.ones(1, 16, side, side), weight, bias)
    large.sin()
assert threads() == before
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list a process's threads")
def test_kernels_with_little_to_do_end_none_of_pytorchs_threads() -> None:
    subprocess.run([sys.executable, "-c", FEWER], check=True, timeout=60)
