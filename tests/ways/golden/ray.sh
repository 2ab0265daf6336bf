ray job submit --submission-id alice-train-exp1-00000000c0de --no-wait --log-color false --entrypoint-num-gpus 2 \
  --metadata-json '{"gpu_queue_name": "alice-train-exp1", "gpu_queue_nonce": "00000000c0de"}' \
  --runtime-env-json '{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60", "GPU_QUEUE_ALLOCATION": "ray:alice-train-exp1-00000000c0de"}}' \
  --entrypoint-num-cpus \
  8 \
  --verify \
  'my ca.pem' \
  -- bash -c 'exec bash "$0" >>"$1" 2>&1' '/shared/a b/start-00000000c0de.sh' '/shared/a b/alice-train-exp1-00000000c0de.log'
