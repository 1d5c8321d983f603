"""The compiled kernels without Python: built from csrc under sanitizers, CUDA emulated on the host."""

from __future__ import annotations

import ast
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CSRC, NATIVE = ROOT / "csrc", ROOT / "tests" / "native"
OPS = sorted(program.stem.removeprefix("test_") for program in NATIVE.glob("test_*.cpp"))
X86 = platform.machine().lower() in ("x86_64", "amd64")

# Flags of a build, and how many random cases of an op it runs.
BUILDS = {
    "plain": (["-O2"], 1000),
    "address": (["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"], 300),
    "thread": (["-O1", "-g", "-fsanitize=thread"], 120),
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the native tests guard memory with POSIX mmap")


def of_setup(name: str) -> Any:
    """A constant of setup.py, which builds as soon as it is imported."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"setup.py defines no {name}")


INSTRUCTION_SETS: dict[str, list[str]] = of_setup("INSTRUCTION_SETS") if X86 else {"baseline": []}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=300)


def succeed(*command: str | Path) -> str:
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def compiler() -> str:
    """The C++ compiler of CXX, or the first at hand."""
    found = filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++"))))
    return next(found, None) or pytest.skip("no C++ compiler: neither CXX nor c++, g++, clang++ in PATH")


@pytest.fixture(params=BUILDS)
def build(request: pytest.FixtureRequest, compiler: str, tmp_path: Path) -> str:
    """The name of a build whose programs this compiler can link and this system can run."""
    source, program = tmp_path / "nothing.cpp", tmp_path / "nothing"
    source.write_text("int main() { return 0; }\n")
    for command in ([compiler, *BUILDS[request.param][0], source, "-o", program], [program]):
        done = run(*command)
        if done.returncode:
            pytest.skip(f"-fsanitize={request.param} does not work here: {(done.stderr.splitlines() or ['?'])[0]}")
    return str(request.param)


def objects_of(source: Path) -> dict[str, list[str]]:
    """The flags for each object of a source, by the object's name."""
    if source.name.endswith(".simd.cpp"):
        return {
            f"{source.stem}.{name}.o": [f"-DDISLAYERS_INSTRUCTION_SET={name}", *flags]
            for name, flags in INSTRUCTION_SETS.items()
        }
    emulated = ["-x", "c++", f"-I{NATIVE / 'emulation'}"] if source.suffix == ".cu" else []
    return {f"{source.name}.o": emulated}


def link(compiler: str, build: str, sources: list[Path], folder: Path) -> Path:
    flags = ["-std=c++17", "-pthread", *BUILDS[build][0]]
    commands: list[list[str | Path]] = [
        [compiler, *flags, *own, "-c", source, "-o", folder / target]
        for source in sources
        for target, own in objects_of(source).items()
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda command: succeed(*command), commands))
    program = folder / "program"
    succeed(compiler, *flags, *(command[-1] for command in commands), "-o", program)
    return program


@pytest.mark.parametrize("op", OPS)
def test_every_implementation_equals_the_definition(op: str, build: str, compiler: str, tmp_path: Path) -> None:
    cases = BUILDS[build][1]
    sources = [CSRC / f"{op}{suffix}" for suffix in (".simd.cpp", ".cpp", ".cu") if (CSRC / f"{op}{suffix}").exists()]
    program = link(compiler, build, [NATIVE / f"test_{op}.cpp", *sources], tmp_path)
    assert f"{cases} cases" in succeed(program, "1", str(cases))


# Which build finds a mistake, and what it says.
MISTAKES = {
    "race": ("thread", "data race"),
    "outside shared": ("address", ""),
    "outside global": ("plain", ""),
    "divergence": ("plain", "threads of a block meet at lines"),
}


def test_the_emulation_finds_mistakes(build: str, compiler: str, tmp_path: Path) -> None:
    program = link(compiler, build, [NATIVE / "mistakes.cu"], tmp_path)
    succeed(program, "none")
    for mistake, (finder, words) in MISTAKES.items():
        if finder == build:
            done = run(program, mistake)
            assert done.returncode != 0, f"{mistake} was not found"
            assert words in done.stderr


def weak_symbols(compiler: str, source: Path, flags: list[str], folder: Path) -> list[str]:
    """Symbols of which the linker keeps one copy, from whichever object comes first."""
    if not shutil.which("nm"):
        pytest.skip("no nm in PATH")
    target = folder / "object.o"
    succeed(compiler, "-std=c++17", *flags, "-c", source, "-o", target)
    return [line for line in succeed("nm", "-C", target).splitlines() if line[17:18] in ("W", "V", "u")]


@pytest.mark.skipif(not X86, reason="one instruction set here")
@pytest.mark.parametrize("optimisation", ["-O0", "-O3"])
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("source", sorted(CSRC.glob("*.simd.cpp")), ids=lambda source: source.name)
def test_instruction_sets_share_no_code(
    source: Path, instruction_set: str, optimisation: str, compiler: str, tmp_path: Path
) -> None:
    sharing = tmp_path / "sharing.cpp"
    sharing.write_text("inline int twice(int x) { return 2 * x; }\nint (*address)(int) = twice;\n")
    if not weak_symbols(compiler, sharing, [], tmp_path):
        pytest.skip("nm does not tell weak symbols here")
    flags = [optimisation, f"-DDISLAYERS_INSTRUCTION_SET={instruction_set}", *INSTRUCTION_SETS[instruction_set]]
    assert weak_symbols(compiler, source, flags, tmp_path) == []
