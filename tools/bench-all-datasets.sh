#!/bin/sh
# Times the largest config: every list of datasets of every published file of
# OpenCompass 0.5.4 that loads, for four models, planned and printed.
#
#   tools/bench-all-datasets.sh [PROGRAM] [TIMES]
#
# PROGRAM defaults to bin/sextant, TIMES to 10. Needs the published configs:
# tools/fetch-opencompass-configs.sh. Two configs are made (go test
# ./internal/pyconf -run TestAllDatasets -all-datasets FOLDER): in one of them
# each name of a dataset is taken once, in the other datasets of one name are
# there as often as published, which is refused. Prints wall time and processor
# time in milliseconds and peak memory in MB, medians of TIMES runs, each a new
# process.
set -eu

cd "$(dirname "$0")/.."
program=${1:-bin/sextant}
times=${2:-10}
configs=${SEXTANT_OC_CONFIGS:-$(tools/fetch-opencompass-configs.sh)}
case $program in /*) ;; *) program=$PWD/$program ;; esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
SEXTANT_OC_CONFIGS=$configs go test ./internal/pyconf -count 1 -run 'TestAllDatasets$' -all-datasets "$tmp" >&2
cd "$tmp"
exec python3 - "$program" "$times" "$configs/opencompass/configs" <<'PY'
import os, statistics, subprocess, sys, time
program, times, configs = sys.argv[1], int(sys.argv[2]), sys.argv[3]
for name in 'all_datasets_unique.py', 'all_datasets.py':
    wall, cpu, mem = [], [], []
    for _ in range(times):
        with open('out', 'wb') as out, open('err', 'wb') as err:
            t = time.monotonic()
            p = subprocess.Popen([program, 'run', name, '--config-dir', configs, '--dry-run', '-w', 'runs'], stdout=out, stderr=err)
            _, status, use = os.wait4(p.pid, 0)
            wall.append(time.monotonic() - t)
        cpu.append(use.ru_utime + use.ru_stime)
        mem.append(use.ru_maxrss / 1024)
    lines = sum(1 for _ in open('out', 'rb'))
    print('%-24s wall %4.0f ms (least %.0f)  cpu %4.0f ms  memory %3.0f MB  exit %d, %d lines printed' % (
        name, 1e3 * statistics.median(wall), 1e3 * min(wall), 1e3 * statistics.median(cpu), statistics.median(mem), os.waitstatus_to_exitcode(status), lines))
PY
