"""`cmake --install` into an empty prefix: everything is there, and what is there can be used from C, pkg-config and CMake.

WICK_BUILD names the build folder; without it the folder of the program."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, clean_env, find_wick


def run(*args, **kw):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, **kw)
    assert r.returncode == 0, f"{args}: {r.stdout}{r.stderr}"
    return r.stdout


@pytest.fixture(scope="module")
def build():
    folder = Path(os.environ.get("WICK_BUILD") or Path(find_wick()).parent)
    if not (folder / "share/stamp").exists() or not list(folder.glob("libwick.*")):
        pytest.skip(f"{folder} is not built in full")
    if "_asan_" in subprocess.run(["nm", find_wick()], capture_output=True, text=True).stdout:
        pytest.skip("a build with sanitizers is not installed")
    return folder


@pytest.fixture(scope="module")
def prefix(build, tmp_path_factory):
    if not shutil.which("cmake"):
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("install") / "pre fix"
    run("cmake", "--install", build, "--prefix", folder)
    return folder


def one(prefix, pattern):
    found = list(prefix.glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def libdir(prefix):
    return one(prefix, "**/libwick.a").parent


def test_everything_is_there(prefix):
    for pattern in ("bin/wick", "lib*/**/libwick.a", "lib*/**/libwick.so", "include/wick/wick.h", "include/wick/error.h", "lib*/**/pkgconfig/wick.pc",
                    "lib*/**/cmake/wick/wickConfig.cmake", "lib*/**/cmake/wick/wickConfigVersion.cmake", "share/man/man1/wick.1",
                    "share/man/man1/wick-run.1", "share/bash-completion/completions/wick", "share/zsh/site-functions/_wick",
                    "share/fish/vendor_completions.d/wick.fish"):
        assert one(prefix, pattern).stat().st_size > 0
    commands = re.findall(r"^  ([a-z-]+) ", run(prefix / "bin/wick", "--help"), re.M)
    assert {p.name for p in prefix.glob("share/man/man1/*")} == {"wick.1", *(f"wick-{c}.1" for c in commands)}
    assert re.fullmatch(r"wick \d+\.\d+\.\d+\S*\n", run(prefix / "bin/wick", "--version"))


def test_no_path_of_the_build_is_left(prefix, build):
    for p in prefix.rglob("*"):
        if p.is_file() and p.suffix in (".pc", ".cmake", ".h", ".1") or p.name == "wick":
            if p.is_file():
                assert str(build).encode() not in p.read_bytes(), p


def test_shipped_model_by_its_name(prefix, tmp_path):
    """From everywhere, also when the installation was moved."""
    if not (prefix / "share/wick/models/wick-shell").exists():
        pytest.skip("models/wick-shell is not built")
    moved = tmp_path / "moved"
    shutil.copytree(prefix, moved, symlinks=True)
    for where in (prefix, moved):
        out = run(where / "bin/wick", "run", "wick-shell", "list all files", "--temp", "0", cwd=tmp_path, env=clean_env(tmp_path))
        assert json.loads(out)["cmd"] == "ls"


def test_release_program_is_small(prefix, tmp_path):
    run("strip", "-o", tmp_path / "wick", prefix / "bin/wick")
    assert (tmp_path / "wick").stat().st_size < 5_000_000


def test_header_alone(prefix, tmp_path):
    for name, compiler, flags in (("a.c", "cc", ["-std=c11", "-Wpedantic"]), ("a.cpp", "c++", ["-std=c++11"])):
        if not shutil.which(compiler):
            continue
        (tmp_path / name).write_text("#include <wick/wick.h>\nint main(void) { return 0; }\n".replace("(void)", "()" if name == "a.cpp" else "(void)"))
        run(compiler, *flags, "-Wall", "-Wextra", "-Werror", f"-I{prefix}/include", "-c", tmp_path / name, "-o", tmp_path / "a.o")


def use(program, prefix, model, tmp_path):
    env = clean_env(tmp_path)
    env["LD_LIBRARY_PATH"] = str(libdir(prefix))
    return run(program, model, "a", env=env)


def pkg_config(prefix, *args):
    env = {**os.environ, "PKG_CONFIG_PATH": str(libdir(prefix) / "pkgconfig")}
    return run("sh", "-c", 'eval "set -- $(pkg-config "$@")"; printf "%s\\n" "$@"', "-", *args, "wick", env=env).split("\n")[:-1]


@pytest.mark.skipif(not shutil.which("pkg-config"), reason="pkg-config is not installed")
@pytest.mark.parametrize("static", [False, True])
def test_pkg_config(prefix, cycle, tmp_path, static):
    flags = pkg_config(prefix, "--cflags", "--libs", *(["--static"] if static else []))
    assert f"-I{prefix}/include" in ["-I" + os.path.normpath(f[2:]) for f in flags if f.startswith("-I")], "the prefix is the one it was installed to"
    if static:
        flags = [str(libdir(prefix) / "libwick.a") if f == "-lwick" else f for f in flags]
    run("cc", ROOT / "examples/simple.c", *flags, "-o", tmp_path / "simple")
    assert use(tmp_path / "simple", prefix, cycle("abcd", ends=True), tmp_path).startswith("bcd")


def test_find_package(prefix, cycle, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user C)\nfind_package(wick 0.1 REQUIRED)\n"
        f'add_executable(simple "{ROOT}/examples/simple.c")\ntarget_link_libraries(simple PRIVATE wick::wick)\n')
    run("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "b")
    assert use(tmp_path / "b/simple", prefix, cycle("abcd", ends=True), tmp_path).startswith("bcd")


def test_installed_program_runs(prefix, cycle, tmp_path):
    assert run(prefix / "bin/wick", "generate", cycle("abcd", ends=True), "a", "--temp", "0", env=clean_env(tmp_path)) == "bcd\n"
