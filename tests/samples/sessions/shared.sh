# shellcheck shell=bash disable=SC1091,SC2119 # a server that several people share: somebody is in the way, and one rests
#-
export QUEUE_ROOT=~/gpu_queue JOB_ID=paper
source "$CODE/client.sh"
mkdir -p "$QUEUE_ROOT" ~/project/command ~/project/scripts
mkdir -m 700 "$QUEUE_ROOT/$JOB_ID"
cat >"$QUEUE_ROOT/$JOB_ID/config.yaml" <<'END'
mode: shared
compete_gpus: [0, 1, 2, 3]
gpu_left: 1
END
script project/scripts/run_pipeline.sh <<'END'
[ "$1" != flower ] || { echo "RuntimeError: CUDA out of memory"; exit 1; }
sleep 60
END
script others.json <<<'{"1": {"used": "18G", "utilization": 97}}'
GPU_QUEUE_SIMULATE_FILE=~/others.json agent --simulate 4x24G
script project/command/command_gpu.txt <<'END'
bash {work_dir}/scripts/run_pipeline.sh flower --uni_id {uni_id}
2,20
END
gpu_load ~/project/command/command_gpu.txt >/dev/null 2>&1
until_page '^queue\t[^\t]*[.]2\tbusy\t1\t0\t0\t0\t3\t\d'
cat >>~/project/command/command_gpu.txt <<'END'

bash {work_dir}/scripts/run_pipeline.sh car --uni_id {uni_id}
1,20

bash {work_dir}/scripts/run_pipeline.sh car --uni_id {uni_id}
1,20
END
gpu_load ~/project/command/command_gpu.txt >/dev/null 2>&1
until_page '^try\t[^\t]*command_gpu-2.try1[^\t]*\trunning'
until_page '^queue\t[^\t]*[.]1\tbusy\t1\t1'
until_page '^wait\t.*command_gpu-3'
#= status
gpu_status
