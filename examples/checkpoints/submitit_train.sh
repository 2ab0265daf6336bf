#!/bin/bash
#GPUQ --signal all:USR2@60
export SUBMITIT_EXECUTOR=local SUBMITIT_LOCAL_JOB_ID=train SUBMITIT_LOCAL_NTASKS=1 SUBMITIT_LOCAL_JOB_NUM_NODES=1
export SUBMITIT_LOCAL_NODEID=0 SUBMITIT_LOCAL_GLOBALID=0 SUBMITIT_LOCAL_LOCALID=0
rm -f jobs/*.save_tmp jobs/train_*_result.pkl
PYTHONPATH=.:$PYTHONPATH python -m submitit.core._submit jobs
status=$?
[ $status -ne 144 ] || touch "$GPU_QUEUE_REQUEUE"
exit $status
