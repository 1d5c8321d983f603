"""Builds ``dislayers._C``, the compiled kernels; everything else about the packages stands in pyproject.toml.

``DISLAYERS_NATIVE`` says what to build: ``auto`` (what the compilers at hand allow; the default), ``cpu``, ``cuda``
(what is asked for must succeed) or ``off``. What was built, and why not more, is written to ``dislayers/_C.json``.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

WINDOWS = sys.platform == "win32"
X86 = platform.machine().lower() in ("x86_64", "amd64") and not WINDOWS
# Without -fno-trapping-math a choice between two numbers would stay a branch, and its loop would not become vectors.
STANDARD = (
    ["/std:c++17", "/O2", "/EHsc"]
    if WINDOWS
    else ["-std=c++17", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
)
INSTRUCTION_SETS = {
    "baseline": [],
    "avx2": ["-march=x86-64-v3"],
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
GPU_ARCHITECTURES = ("75", "80", "90", "100")


class NotBuiltError(Exception):
    """Why a part of the extension is not there, in one line."""


def in_one_line(error: BaseException) -> str:
    """Which compiler failed, and how."""
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, subprocess.CalledProcessError):
        return f"{Path(cause.cmd[0]).name} failed with exit status {cause.returncode} (pip install -v shows its errors)"
    if isinstance(cause, FileNotFoundError):
        return f"no C++ compiler ({cause.filename} was not found)"
    return str(error)


def wanted() -> str:
    """The value of DISLAYERS_NATIVE."""
    value, choices = os.environ.get("DISLAYERS_NATIVE", "auto"), ("auto", "cpu", "cuda", "off")
    if value not in choices:
        raise SystemExit(f"DISLAYERS_NATIVE must be one of {', '.join(choices)}, got {value!r}")
    return value


def find_nvcc() -> str:
    """The CUDA compiler of CUDA_HOME, or else on the PATH."""
    home = os.environ.get("CUDA_HOME")
    nvcc = shutil.which("nvcc", path=str(Path(home, "bin")) if home else None)
    if nvcc is None:
        raise NotBuiltError(f"no nvcc in {'CUDA_HOME' if home else 'PATH'}")
    return nvcc


def find_cuda_runtime(nvcc: str) -> str:
    """The static CUDA runtime that belongs to this nvcc."""
    plan = subprocess.run(
        [nvcc, "--dryrun", "-x", "cu", os.devnull], capture_output=True, text=True, check=False
    ).stderr
    tops = [line.partition("TOP=")[2].strip() for line in plan.splitlines() if "TOP=" in line]
    for top in tops:
        for library in ("lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"):
            runtime = Path(top, library, "libcudart_static.a")
            if runtime.exists():
                return str(runtime)
    raise NotBuiltError("no libcudart_static.a beside nvcc")


class BuildKernels(build_ext):
    """Each ``.simd.cpp`` once for every instruction set, each ``.cu`` by nvcc where there is one."""

    def run(self) -> None:
        """Build what DISLAYERS_NATIVE allows and record the outcome beside the extension."""
        self.record = dict.fromkeys(("cpu", "cuda"), f"DISLAYERS_NATIVE={wanted()}")
        super().run()
        packages = [Path(self.build_lib)] + ([Path()] if self.inplace else [])
        for package in packages:
            record = package / "dislayers" / "_C.json"
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps(self.record, indent=1) + "\n")
        for device, outcome in self.record.items():
            print(f"dislayers: kernels for {device}: {outcome}", file=sys.stderr)

    def build_extension(self, extension: Extension) -> None:
        """Compile and link; a failure is fatal only if DISLAYERS_NATIVE asked for what failed."""
        if wanted() == "off":
            return
        try:
            cuda = self.compile_cuda()
            objects = [*self.compile_host(extension, with_cuda=bool(cuda)), *cuda]
            self.compiler.link_shared_object(
                objects, self.get_ext_fullpath(extension.name), libraries=extension.libraries, target_lang="c++"
            )
            self.record["cpu"] = "built"
        except (CCompilerError, ExecError, PlatformError, OSError) as error:
            self.record = {"cpu": in_one_line(error), "cuda": "the extension could not be built"}
            if wanted() != "auto":
                raise SystemExit(f"DISLAYERS_NATIVE={wanted()}: {self.record['cpu']}") from error

    def compile_host(self, extension: Extension, with_cuda: bool) -> list[str]:
        """The objects of all C++ sources."""
        import pybind11

        objects = []
        for source in extension.sources:
            simd = source.endswith(".simd.cpp")
            for name, flags in INSTRUCTION_SETS.items() if simd and X86 else [("baseline", [])]:
                objects += self.compiler.compile(
                    [source],
                    output_dir=str(Path(self.build_temp, name)),
                    macros=[("DISLAYERS_INSTRUCTION_SET", name)] + ([("DISLAYERS_CUDA", "1")] if with_cuda else []),
                    include_dirs=["csrc", pybind11.get_include(), *self.compiler.include_dirs],
                    extra_postargs=[*STANDARD, *flags],
                )
        return objects

    def compile_cuda(self) -> list[str]:
        """The objects of all CUDA sources and the runtime; none where nvcc or its parts are missing."""
        if wanted() == "cpu":
            return []
        try:
            nvcc = find_nvcc()
            objects = [self.compile_with(nvcc, source) for source in sorted(Path("csrc").glob("*.cu"))]
            objects.append(find_cuda_runtime(nvcc))
        except NotBuiltError as reason:
            self.record["cuda"] = str(reason)
            if wanted() == "cuda":
                raise SystemExit(f"DISLAYERS_NATIVE=cuda: {reason}") from reason
            return []
        self.record["cuda"] = "built"
        return objects

    def compile_with(self, nvcc: str, source: Path) -> str:
        """One CUDA object with machine code for every architecture this nvcc knows, and PTX for later ones."""
        known = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=False).stdout.split()
        codes = [a for a in GPU_ARCHITECTURES if f"sm_{a}" in known]
        if not codes:
            raise NotBuiltError(f"{nvcc} knows none of sm_{', sm_'.join(GPU_ARCHITECTURES)}")
        architectures = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in codes]
        architectures.append(f"-gencode=arch=compute_{codes[-1]},code=compute_{codes[-1]}")
        target = Path(self.build_temp, source.stem + ".cu.o")
        target.parent.mkdir(parents=True, exist_ok=True)
        host = [] if WINDOWS else ["-Xcompiler=-fPIC,-fvisibility=hidden"]
        command = [nvcc, "-std=c++17", "-O3", *architectures, *host, "-c", str(source), "-o", str(target)]
        print(" ".join(command), file=sys.stderr)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in (done.stderr + done.stdout).splitlines() if "error" in line] or ["failed"]
            raise NotBuiltError(f"nvcc: {errors[0]}")
        return str(target)


kernels = Extension(
    "dislayers._C",
    sources=sorted(map(str, Path("csrc").glob("*.cpp"))),
    depends=sorted(map(str, [*Path("csrc").glob("*.h"), *Path("csrc").glob("*.cu")])),
    libraries=[] if WINDOWS or sys.platform == "darwin" else ["pthread", "dl", "rt"],
    optional=True,
)

setup(ext_modules=[kernels], cmdclass={"build_ext": BuildKernels})
