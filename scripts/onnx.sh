#!/bin/sh
# Installs onnx and onnxruntime into a Python environment in the user's cache folder, for the test that runs exported networks
# with them (a download of 60 MB, once).
#
#   XDG_CACHE_HOME  the environment is $XDG_CACHE_HOME/strata/onnx, else ~/.cache/strata/onnx
#   PYTHON          the interpreter it is made from (python3)
set -eu

home="${XDG_CACHE_HOME:-$HOME/.cache}/strata/onnx"
"${PYTHON:-python3}" -m venv "$home"
"$home/bin/python" -m pip install --quiet --disable-pip-version-check onnx onnxruntime safetensors numpy
