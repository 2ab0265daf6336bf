"""Lines of gpu-queue.conf that both of its readers must read alike, with ``/home/a b`` for the home directory."""

VALUES = [
    ("QUEUE_ROOT=/mnt/q", "/mnt/q"),
    ("  QUEUE_ROOT=/mnt/q  ", "/mnt/q"),
    ("\tQUEUE_ROOT=\t/mnt/q\t", "/mnt/q"),
    ("export QUEUE_ROOT=/mnt/q", "/mnt/q"),
    ("QUEUE_ROOT=/mnt/all queues", "/mnt/all queues"),
    ('QUEUE_ROOT="/mnt/all queues"', "/mnt/all queues"),
    ("QUEUE_ROOT='/mnt/it\"s'", '/mnt/it"s'),
    ('QUEUE_ROOT="/mnt/q"     # 队列根目录', "/mnt/q"),
    ("QUEUE_ROOT=/mnt/q # the queues", "/mnt/q"),
    ("QUEUE_ROOT=/mnt/q#1", "/mnt/q#1"),
    ('QUEUE_ROOT="/mnt/q # 1"', "/mnt/q # 1"),
    ("QUEUE_ROOT=/mnt/队列 a=b\\;&*[x]!", "/mnt/队列 a=b\\;&*[x]!"),
    ("QUEUE_ROOT=/mnt/q\r", "/mnt/q"),
    ("QUEUE_ROOT=~/q", "/home/a b/q"),
    ("QUEUE_ROOT=~", "/home/a b"),
    ("QUEUE_ROOT=$HOME/q", "/home/a b/q"),
    ('QUEUE_ROOT="${HOME}/q"', "/home/a b/q"),
    ('QUEUE_ROOT="${QUEUE_ROOT:-/mnt/q}"', "/mnt/q"),
    ("QUEUE_ROOT=", ""),
    ('QUEUE_ROOT=""', ""),
    ("QUEUE_ROOT=   # nothing", ""),
    ("# QUEUE_ROOT=/mnt/q", ""),
]
OF_WAYS = [
    ("SCO_SPEC=n6ls.iu.i40.$GPUS", "n6ls.iu.i40.$GPUS"),
    ('SLURM_WAY_GRES="gpu:a100:${GPUS}" # each', "gpu:a100:${GPUS}"),
    ("WAY_PBS_SELECT='1:ngpus=$GPUS:x=${GPUS}'", "1:ngpus=$GPUS:x=${GPUS}"),
]
BROKEN = [
    ("QUEUE_ROOT=$(touch pwned)", "it is not run"),
    ("QUEUE_ROOT=`touch pwned`", "it is not run"),
    ('QUEUE_ROOT="/mnt/$USER/q"', "it is not run"),
    ("QUEUE_ROOT=$HOMER/q", "it is not run"),
    ("QUEUE_ROOT=/mnt/$GPUS", "it is not run"),
    ('QUEUE_ROOT="/mnt/q', "quote is not closed"),
    ("QUEUE_ROOT='/mnt/q' x", "behind its closing quote"),
    ("QUEUE_ROOT=queues", "begins with /"),
    ("QUEUE_ROOT=~alice/q", "begins with /"),
    ("QUEUE_ROOT=/mnt/\x1b[2Jq", "control characters"),
]
BROKEN_OF_WAYS = [
    ("SCO_SPEC=$USER.$GPUS", "it is not run"),
    ("SCO_SPEC=$${GPUS}GPUS", "it is not run"),
    ("SLURM_WAY_ARGS=`id`", "it is not run"),
    ("CONDA_ENV=$GPUS", "it is not run"),
]
