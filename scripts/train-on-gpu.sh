#!/usr/bin/env bash
# Trains the default model on a machine with a GPU, and leaves all of it in one folder: checkpoints, logs, samples, the ONNX file.
#
#   scripts/train-on-gpu.sh DATA WORK [options of `unshake train`]
#
# DATA  a folder, or a tar of one, with pairs/ and crops/ (each blur/ and sharp/) and photos/: see experiments/default.yaml
# WORK  a folder to work in: run/ (checkpoints, log.jsonl, samples), train.log, best.safetensors (the averaged weights alone), model.onnx. Called
#       again, it goes on from the newest checkpoint.
#
# Environment: UNSHAKE_LIBTORCH   an unpacked libtorch with CUDA, or the `torch` folder of a Python install; found by python3 if unset
#              MINUTES            training time, all calls together (default 480); the learning rate follows it
#              EXPERIMENT         default: default-gpu      DEVICE  default: cuda
#              FROM               weights to start from: a checkpoint, a run, an ONNX file or a shipped name (default: none, fresh)
#
# Needs Node, g++ and this repository with its node_modules (or a network, for npm ci); or, without TypeScript among them, with dist/ and
# packages/libtorch/dist/ as built elsewhere. The addon is compiled here against the libtorch found. Without onnxruntime-node there is no model.onnx:
# `unshake export best.safetensors -o model.onnx --half` makes it elsewhere.
#
# In minutes rather than hours: EXPERIMENT=default FROM=default MINUTES=10 scripts/train-on-gpu.sh DATA WORK --set batchSize=32 --set optimizer.lr=2.5e-4
set -euo pipefail
fail() { echo "train-on-gpu: $*" >&2; exit 1; }

[ $# -ge 2 ] || fail "expected DATA and WORK: scripts/train-on-gpu.sh data.tar work"
repository=$(cd "$(dirname "$0")/.." && pwd)
data=$(realpath -e "$1") || fail "no such data: $1"
mkdir -p "$2"; work=$(realpath "$2"); shift 2

export UNSHAKE_LIBTORCH=${UNSHAKE_LIBTORCH:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null || true)}
[ -n "$UNSHAKE_LIBTORCH" ] || unset UNSHAKE_LIBTORCH # the system's

cd "$repository"
[ -d node_modules ] || ONNXRUNTIME_NODE_INSTALL=skip npm ci --no-audit --no-fund
if [ -d node_modules/typescript ]; then npm run build --silent; else node packages/libtorch/dist/scripts/build-addon.js --require; fi

cd "$work"
if [ ! -e data/complete ]; then
  mkdir -p data
  if [ -d "$data" ]; then for part in pairs crops photos; do ln -sfn "$data/$part" "data/$part"; done; else tar -xf "$data" -C data; fi
  for part in pairs crops photos; do [ -d "data/$part" ] || fail "$data: expected $part/ in it"; done
  node "$repository/bin/unshake.js" data prepare data/pairs data/pairs-half --scale 0.5 --crop 0 --format folders
  touch data/complete
fi

unshake() { node "$repository/bin/unshake.js" "$@"; }
common=("${EXPERIMENT:-default-gpu}" --out run --device "${DEVICE:-cuda}" --minutes "${MINUTES:-480}")
if compgen -G 'run/checkpoints/step-*.safetensors' >/dev/null; then
  unshake train "${common[@]}" --resume 2>&1 | tee -a train.log
else
  [ "${FROM:-none}" = none ] || common+=(--init-from "$FROM")
  unshake train "${common[@]}" "$@" 2>&1 | tee -a train.log
fi
cp run/checkpoints/best.safetensors .
if [ -d "$repository/node_modules/onnxruntime-node" ]; then unshake export run -o model.onnx --half; else echo "no onnxruntime-node, so no model.onnx"; fi
echo "$work: $(ls -m)"
