"""Names of kernels in tables are those of their sources."""

import pytest

from bench.machine_code import source_name


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("_normalise_kernel", "_normalise_kernel"),
        ("_ZN9dislayers11join_kernelENS_4TaskEl", "join_kernel"),
        ("_ZN9dislayers14forward_kernelIfEEvNS_4TaskE", "forward_kernel<float>"),
        ("_ZN9dislayers14forward_kernelINS_8BFloat16EEEvNS_4TaskE", "forward_kernel<BFloat16>"),
        ("_ZN9dislayers13dilate_kernelILb0EEEvNS_8DilationE", "dilate_kernel<false>"),
    ],
)
def test_a_kernel_is_named_as_in_its_source(mangled: str, name: str) -> None:
    assert source_name(mangled) == name
