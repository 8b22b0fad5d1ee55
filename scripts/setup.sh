#!/bin/sh
# Installs libtorch in the user's cache folder and configures cargo to use it. Steps that are already done are skipped.
#
# libtorch is taken from the torch wheel on PyPI, the only build that every package index mirrors. Even on the CPU it needs two
# small CUDA libraries, which libtorch_cpu.so links; `CUDA=1 scripts/setup.sh` installs all of them.
#
#   LIBTORCH      set by the user: used as it is, nothing is downloaded
#   XDG_CACHE_HOME  the cache is $XDG_CACHE_HOME/strata, else ~/.cache/strata
#   PYTHON        the interpreter whose pip downloads the wheels (python3)
set -eu

cd "$(dirname "$0")/.."
version=2.13.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/strata"
home="$cache/libtorch-$version"
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

for tool in cargo g++; do
    command -v "$tool" >/dev/null || die "$tool is not installed; Strata needs cargo, g++, make and a python3 with pip or venv"
done

# cargo reads the path of libtorch from here, so that plain `cargo build` and editors work too. An environment variable
# of the same name overrides this file.
configure() {
    config=.cargo/config.toml
    mark="# Written by scripts/setup.sh"
    if [ -f "$config" ] && ! head -n 1 "$config" | grep -q "^$mark"; then
        die "$config was not written by this script; add this to it: [env] LIBTORCH = \"$1\""
    fi
    wanted="$mark: where libtorch is on this machine. Not kept in git.
[env]
LIBTORCH = \"$1\""
    [ -f "$config" ] && [ "$(cat "$config")" = "$wanted" ] && return
    mkdir -p .cargo && printf '%s\n' "$wanted" >"$config.new" && mv "$config.new" "$config"
    say "wrote $config"
}

# Older versions do not accept several --platform options.
recent_pip() {
    "$1" -c 'import pip, sys; sys.exit(int(pip.__version__.split(".")[0]) < 21)' >/dev/null 2>&1
}

# Prints a python that has pip: the user's, or that of a venv in the cache, because a system's python may come without pip.
python_with_pip() {
    python="${PYTHON:-python3}"
    command -v "$python" >/dev/null || die "$python is not installed; it is needed once, to download libtorch"
    if recent_pip "$python"; then echo "$python"; return; fi
    if ! recent_pip "$cache/venv/bin/python"; then
        rm -rf "$cache/venv"
        { "$python" -m venv "$cache/venv" && "$cache/venv/bin/python" -m pip install --quiet --upgrade pip; } >&2 ||
            die "$python has neither pip (21 or newer) nor venv; install one of them (Debian: apt-get install python3-pip)"
    fi
    echo "$cache/venv/bin/python"
}

bring() {
    mkdir -p "$cache"
    # When two clones are set up at once, the second waits here and then finds the work done.
    exec 9>"$cache/.setup.lock"
    if command -v flock >/dev/null; then flock 9; fi
    [ -f "$home/complete" ] && return
    python=$(python_with_pip)
    rm -rf "$home.new" && mkdir -p "$home.new/wheels"
    say "downloading libtorch $version from PyPI (530 MB, once) into $home"
    # The wheels are for a fixed Python version, whichever is installed here: only their libraries are used.
    cat >"$home.new/requirements.txt" <<'REQUIREMENTS'
torch==2.13.0 --hash=sha256:796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b
nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti==13.0.85 --hash=sha256:4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8
REQUIREMENTS
    "$python" -m pip download --quiet --no-deps --require-hashes --no-cache-dir --only-binary=:all: \
        --python-version 3.12 --implementation cp --abi cp312 --abi none --platform manylinux_2_28_x86_64 \
        --platform manylinux2014_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
        -d "$home.new/wheels" -r "$home.new/requirements.txt" 9>&- >&2 ||
        die "the download failed, see above; to use a libtorch $version of your own, set LIBTORCH"
    say "unpacking"
    "$python" - "$home.new" <<'UNPACK'
import pathlib, sys, zipfile
home = pathlib.Path(sys.argv[1])
for wheel in (home / "wheels").iterdir():
    with zipfile.ZipFile(wheel) as archive:
        wanted = [n for n in archive.namelist() if n.startswith(("torch/include/", "torch/lib/", "nvidia/"))]
        archive.extractall(home, wanted)
    wheel.unlink()
UNPACK
    rmdir "$home.new/wheels"
    # torch-sys links CUDA if libtorch_cuda.so is next to libtorch_cpu.so, and the program would then need 3 GB of CUDA
    # libraries to start. It is given a folder with the CPU libraries alone; CUDA is loaded at run time.
    mkdir -p "$home.new/link/lib"
    ln -s ../torch/include "$home.new/link/include"
    ln -s ../../torch/lib/libtorch_cpu.so ../../torch/lib/libc10.so "$home.new/link/lib/"
    echo 'void strata_empty(void) {}' | g++ -x c -shared -fPIC -o "$home.new/link/lib/libtorch.so" - ||
        die "g++ cannot make a shared library"
    : >"$home.new/complete"
    rm -rf "$home" && mv "$home.new" "$home"
}

# All CUDA libraries that libtorch links, for a machine with a GPU. Never tested on one.
bring_cuda() {
    [ -f "$home/cuda-complete" ] && return
    python=$(python_with_pip)
    say "downloading the CUDA 13 libraries (about 3 GB, once)"
    "$python" -m pip install --quiet --no-cache-dir --upgrade --target "$home" \
        'cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.0.3' \
        nvidia-cudnn-cu13==9.20.0.48 nvidia-cusparselt-cu13==0.8.1 nvidia-nccl-cu13==2.29.7 nvidia-nvshmem-cu13==3.4.5 >&2
    : >"$home/cuda-complete"
}

if [ -n "${LIBTORCH:-}" ]; then
    [ -f "$LIBTORCH/lib/libtorch_cpu.so" ] && [ -d "$LIBTORCH/include" ] ||
        die "LIBTORCH=$LIBTORCH is not a libtorch folder: lib/libtorch_cpu.so or include/ is missing"
    # Recorded for shells in which the variable is not set.
    configure "$LIBTORCH"
    exit 0
fi
[ -f "$home/complete" ] || bring
[ -z "${CUDA:-}" ] || bring_cuda
configure "$home/link"
