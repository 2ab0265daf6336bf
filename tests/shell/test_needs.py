"""What a script asks for, by the corpus that the agent is held to as well."""

from __future__ import annotations

from pathlib import Path

from tests.shell.helpers import Shell

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "needs"
PROBE = r"""
__gpu_probe() {
  local file
  for file in "$@"; do
    __gpu_read "$file" || :
    if __gpu_needs "$REPLY"; then set -f; set -- $REPLY; set +f
    else set -- error - "${REPLY%% *}"
    fi
    printf '%s\t%s\t%s\t%s\n' "${file##*/}" "$1" "$2" "$3"
  done
}
"""


def test_client_and_agent_read_a_script_alike(shell: Shell) -> None:
    shell.hostile = False
    rows = (CORPUS / "expected.tsv").read_text().splitlines()[1:]
    files = [str(CORPUS / row.split("\t")[0]) for row in rows]
    probes = "\n".join(f"( __gpu_guest probe '{file}' )" for file in files)
    assert shell.ok(PROBE + probes).lines == rows
