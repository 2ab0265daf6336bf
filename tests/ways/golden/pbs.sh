#!/bin/bash
#PBS -N alice-train-exp1
#PBS -l select=1:ngpus=2
#PBS -l walltime=24:00:00
#PBS -r n -j oe -o /dev/null
#PBS -v GPU_QUEUE_NONCE=00000000c0de
exec bash '/shared/a b/start-00000000c0de.sh' >>'/shared/a b'/"$PBS_JOBID.log" 2>&1
#!/bin/bash
#PBS -N alice-train-exp1
#PBS -l nodes=1:gpus=2
#PBS -l walltime=25:01:01
#PBS -r n -j oe -o /dev/null
#PBS -q gpu -A project
#PBS -W depend=afterany:7.head
#PBS -v GPU_QUEUE_NONCE=00000000c0de
exec bash '/shared/a b/start-00000000c0de.sh' >>'/shared/a b'/"$PBS_JOBID.log" 2>&1
