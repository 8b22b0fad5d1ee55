#!/bin/sh
# Installs TensorBoard, MLflow and wandb into a Python environment in the user's cache folder, for the test that reads exported
# runs with them (a download of 150 MB, once).
#
#   XDG_CACHE_HOME  the environment is $XDG_CACHE_HOME/strata/trackers, else ~/.cache/strata/trackers
#   PYTHON          the interpreter it is made from (python3)
set -eu

home="${XDG_CACHE_HOME:-$HOME/.cache}/strata/trackers"
"${PYTHON:-python3}" -m venv "$home"
"$home/bin/python" -m pip install --quiet --disable-pip-version-check tensorboard==2.21.0 mlflow-skinny==3.17.2 wandb==0.31.0
