#!/bin/sh
# Installs PyTorch, Keras, OpenVINO and torchvision, which `make bench` and `strata bench --data` compare with, in a Python
# environment in the user's cache folder (3 GB to download, 6 GB on disk, once). Versions are pinned; PyTorch's is that of the
# libtorch that Strata uses.
#
#   XDG_CACHE_HOME  the environment is $XDG_CACHE_HOME/strata/peers, else ~/.cache/strata/peers
#   PYTHON          the interpreter that creates it (python3)
set -eu

home="${XDG_CACHE_HOME:-$HOME/.cache}/strata/peers"
wanted="torch==2.13.0 numpy==2.4.6 setuptools tensorflow-cpu==2.21.0"
say() { printf 'peers: %s\n' "$*" >&2; }

mkdir -p "$(dirname "$home")"
exec 9>"$(dirname "$home")/.peers.lock"
if command -v flock >/dev/null; then flock 9; fi
# Came later, and so are added to an environment that exists; without the dependencies, which are there.
added="torchvision==0.28.0 pillow==13.0.0 openvino==2026.4.1 openvino-telemetry==2025.2.0"
install_added() {
    # shellcheck disable=SC2086
    "$home/bin/python" -c 'import torchvision, openvino' 2>/dev/null ||
        "$home/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps $added 9>&- >&2
}
if [ -f "$home/complete" ] && [ "$(cat "$home/complete")" = "$wanted" ]; then
    install_added
    exit 0
fi
say "installing $wanted from PyPI (3 GB, once) in $home"
rm -rf "$home"
"${PYTHON:-python3}" -m venv "$home" || { say "python3 has no venv; install it (Debian: apt-get install python3-venv)"; exit 1; }
# shellcheck disable=SC2086
"$home/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check $wanted 9>&- >&2
printf '%s' "$wanted" >"$home/complete"
install_added
