"""The documents' own code that writes and reads ``uni_id.json``, word for word, run by real bash and python3.

Only comments and blanks at the ends of lines are left out of it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

UPDATE = r"""
PROCESS_DIR="${SCRIPT_DIR}/script_process"
UNI_ID_FILE="${PROCESS_DIR}/uni_id.json"

update_uni_id_status() {
    local uni_id=$1
    local state=$2
    local pid=$3
    local error_type=$4

    mkdir -p "${PROCESS_DIR}"
    if [ ! -f "${UNI_ID_FILE}" ]; then
        echo "{}" > "${UNI_ID_FILE}"
    fi

    python3 -c "
import json, os, sys

try:
    if os.path.exists('${UNI_ID_FILE}'):
        with open('${UNI_ID_FILE}', 'r') as f:
            content = f.read().strip()
            data = json.loads(content) if content else {}
            if not isinstance(data, dict):
                data = {}
    else:
        data = {}
except:
    data = {}

if '${uni_id}' not in data:
    data['${uni_id}'] = {}
record = data['${uni_id}']
record['pid'] = int('${pid}') if '${pid}' else 0
record['state'] = '${state}'
record['retry_count'] = record.get('retry_count', 0)

if '${error_type}' and '${error_type}' != 'none':
    record['error_type'] = '${error_type}'
elif 'error_type' in record and '${state}' == 'normal_exit':
    del record['error_type']

with open('${UNI_ID_FILE}', 'w') as f:
    json.dump(data, f, indent=2)
"
}
"""

BARE = r"""
note_bare() {
    UNI_ID=$1
    PY_PID=$2
    python3 -c "
import json
import os

uni_id_file = '${SCRIPT_DIR}/script_process/uni_id.json'
os.makedirs(os.path.dirname(uni_id_file), exist_ok=True)

try:
    with open(uni_id_file, 'r') as f:
        data = json.load(f)
except:
    data = {}

data['${UNI_ID}'] = ${PY_PID}

with open(uni_id_file, 'w') as f:
    json.dump(data, f, indent=2)
"
}
"""

READ = """
import json
import os
import time

def get_all_processes():
    uni_id_file = "./script_process/uni_id.json"

    if not os.path.exists(uni_id_file):
        return {}

    with open(uni_id_file, 'r') as f:
        data = json.load(f)

    return data

def get_running_processes():
    all_processes = get_all_processes()
    running = {}

    for uni_id, pid in all_processes.items():
        try:
            os.kill(pid, 0)
            running[uni_id] = pid
        except OSError:
            pass

    return running

def is_process_running(uni_id):
    all_processes = get_all_processes()

    if uni_id not in all_processes:
        return False

    try:
        os.kill(all_processes[uni_id], 0)
        return True
    except OSError:
        return False

def wait_for_completion(uni_id, check_interval=10):
    while is_process_running(uni_id):
        time.sleep(check_interval)
"""


def outsider(script_dir: Path, commands: str) -> subprocess.Popen[bytes]:
    """A script that follows the documents, with ``script_process/`` below a directory."""
    text = f"{UPDATE}\n{BARE}\n{commands}\n"
    return subprocess.Popen(["bash", "-c", text], env={**os.environ, "SCRIPT_DIR": str(script_dir)})


def run_outsider(script_dir: Path, commands: str) -> None:
    """The same, to its end."""
    assert outsider(script_dir, commands).wait(30) == 0
