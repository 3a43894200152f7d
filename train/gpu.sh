#!/bin/sh
# Both built-in models on one GPU, after `prepare` and `tokenizer` of both: a base that reads everything, a story model that
# the base teaches, a tasks model that goes on from the base.
#
#   ./gpu.sh [BASE [STORY [TASKS]]]      minutes for each, as many as are to be had
#
# Each run ends on time by itself and leaves its log and an F16 file, from which the next one, or `export`, goes on:
# out/base, out/story, out/tasks. With "out/…" kept, a run can be made alone.
set -eu
train="python3 -m pagelm_train train --threads 4 --micro 0 --eval-minutes 0.8"

$train --preset base --ctx 1024 --rows 64 --dropout 0.1 --more 1 --minutes "${1:-3.3}" --out out/base
$train --preset large --ctx 1024 --rows 64 --dropout 0.05 --more 1 --teacher out/base/story-f16.gguf --minutes "${2:-1.85}" --out out/story
$train --model tasks --preset tasks-base --rows 128 --dropout 0.1 --init out/base/story-f16.gguf --minutes "${3:-3.2}" --out out/tasks
