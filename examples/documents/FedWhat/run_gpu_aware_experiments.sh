#!/usr/bin/env bash
# Experiments on a server that several people share: only GPUs that nobody uses get one.
#
#   bash run_gpu_aware_experiments.sh all           # all of them
#   bash run_gpu_aware_experiments.sh multi_seed    # 24 runs: datasets, algorithms, seeds
#   bash run_gpu_aware_experiments.sh gamma         # 6 runs
#   bash run_gpu_aware_experiments.sh lambda        # 6 runs
#
# Run again, it skips what is done.  The status is 1 where something failed.

given=("${MIN_MEMORY-}" "${MAX_UTIL-}" "${MAX_CONCURRENT-}" "${MAX_WAIT_TIME-}")

# To be edited; the environment beats what stands here: MIN_MEMORY=12000 bash run_gpu_aware_experiments.sh all
MIN_MEMORY=8000        # free memory that a GPU must have, in MB
MAX_UTIL=30            # utilisation in % above which a GPU is in use
MAX_CONCURRENT=4       # runs at once
MAX_WAIT_TIME=3600     # seconds that a run waits for others to leave a GPU before it fails

set -u
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" || exit

experiments() { # FILE
    echo "== $1"
    "${PYTHON:-python3}" gpu_scheduler.py --job-file "$1" \
        --min-memory "${given[0]:-$MIN_MEMORY}" --max-util "${given[1]:-$MAX_UTIL}" \
        --max-concurrent "${given[2]:-$MAX_CONCURRENT}" --max-wait-time "${given[3]:-$MAX_WAIT_TIME}"
}

multi_seed() {
    experiments jobs_multi_seed.yaml
    local status=$?
    "${PYTHON:-python3}" scripts/aggregate_multi_seed_results.py || [ "$status" -ne 0 ] || status=1
    return "$status"
}

case ${1-} in
    all) parts=(multi_seed gamma lambda) ;;
    multi_seed | gamma | lambda) parts=("$1") ;;
    *)
        echo "run_gpu_aware_experiments.sh: expected all, multi_seed, gamma or lambda" >&2
        exit 2
        ;;
esac
worst=0
for part in "${parts[@]}"; do
    case $part in
        multi_seed) multi_seed ;;
        gamma) experiments jobs_gamma_sensitivity.yaml ;;
        lambda) experiments jobs_lambda_max_sensitivity.yaml ;;
    esac
    status=$?
    [ "$status" -lt 128 ] || exit "$status" # left by Ctrl-C
    [ "$status" -le "$worst" ] || worst=$status
done
exit "$worst"
