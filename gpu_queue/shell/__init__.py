"""What shells read and run: ``client.sh``, ``submit.sh``, the completion of ``gpu-queue``.

In a clone the two scripts here are links to those at its top; a package that was built holds copies.
"""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
IS_CLONE = os.path.isfile(os.path.join(TOP, "client.sh"))
SCRIPTS = TOP if IS_CLONE else HERE
"""The directory of client.sh and submit.sh."""
SUBMIT = os.path.join(SCRIPTS, "submit.sh")
SUBMIT_TYPED = "./submit.sh" if IS_CLONE else "gpu-queue submit.sh"
"""What a person types; the scripts say it the same way."""
COMPLETIONS = {"bash": "completion.bash", "zsh": "_gpu-queue", "tcsh": "completion.tcsh"}
"""Their files, here; ``make docs`` writes them."""
