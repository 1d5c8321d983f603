"""Members of tuples that a Triton kernel is given."""

# ruff: noqa: E402

import pytest
import torch

from dislayers._runtime.launch import triton_missing

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

if triton_missing(DEVICE):
    pytest.skip(triton_missing(DEVICE), allow_module_level=True)

import triton
import triton.language as tl

from dislayers._runtime.groups import member, pointer


@triton.jit
def _gather(pointers, sizes, out_ptr, BLOCK: tl.constexpr):
    index = tl.program_id(0)
    offs = tl.arange(0, BLOCK)
    values = tl.load(pointer(pointers, index) + offs, mask=offs < member(sizes, index), other=0)
    tl.store(out_ptr + index, tl.sum(values, axis=0))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_program_takes_its_member(count: int) -> None:
    tensors = tuple(torch.rand(3 + 5 * i, device=DEVICE) for i in range(count))
    sums = torch.empty(count, device=DEVICE)
    _gather[(count,)](tensors, tuple(map(len, tensors)), sums, BLOCK=64)
    torch.testing.assert_close(sums, torch.stack([x.sum() for x in tensors]))
