#!/bin/sh
# Brings what `make bench` compares with, PyTorch and Keras, into a Python environment in the user's cache folder (a download
# of 3 GB, 6 GB unpacked, once). The versions are fixed: PyTorch's is that of the libtorch that Strata runs on.
#
#   XDG_CACHE_HOME  the environment is $XDG_CACHE_HOME/strata/peers, else ~/.cache/strata/peers
#   PYTHON          the interpreter it is made from (python3)
set -eu

home="${XDG_CACHE_HOME:-$HOME/.cache}/strata/peers"
wanted="torch==2.13.0 numpy==2.4.6 setuptools tensorflow-cpu==2.21.0"
say() { printf 'peers: %s\n' "$*" >&2; }

mkdir -p "$(dirname "$home")"
exec 9>"$(dirname "$home")/.peers.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ -f "$home/complete" ] && [ "$(cat "$home/complete")" = "$wanted" ]; then
    exit 0
fi
say "bringing $wanted from PyPI (3 GB, once) into $home"
rm -rf "$home"
"${PYTHON:-python3}" -m venv "$home" || { say "python3 has no venv; install it (Debian: apt-get install python3-venv)"; exit 1; }
# shellcheck disable=SC2086
"$home/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check $wanted 9>&- >&2
printf '%s' "$wanted" >"$home/complete"
