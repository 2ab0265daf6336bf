#!/usr/bin/env bash
# Start the web console in the background and print its link; ../config/control_setting.yaml says where it listens.
#
#   bash run.sh [more flags of gpu-queue console]
#   bash shut_down.sh
#
# The command files of ../command are put into the queue the first time; from then on the console's are those there.
set -euo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
find_python
"$PYTHON" "$PROJECT/control/src/prepare.py" "$PROJECT" "$(setting job_id compete_gpu)" "$(setting queue_root '')"
console --background "$@"
