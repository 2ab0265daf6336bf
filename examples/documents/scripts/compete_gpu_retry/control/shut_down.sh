#!/usr/bin/env bash
# End the web console that run.sh has started; tasks and agents go on.
set -euo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
find_python
console --stop
