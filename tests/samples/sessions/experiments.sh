# shellcheck shell=bash # a file of experiments comes to its table; of another one a run fails
#-
mkdir -p ~/exp && cd ~/exp || exit
gpu-queue() { PYTHONPATH=$CODE "$PYTHON" -c 'from gpu_queue.cli import main; main()' "$@"; }
script exp/train.py <<'END'
import sys, time

dataset, seed = sys.argv[2], int(sys.argv[4])
if dataset == "svhn":
    sys.exit("FileNotFoundError: data/svhn.npz")
time.sleep({"mnist": 0.3, "cifar10": 1.5}[dataset])  # those of cifar10 are the slowest three
print(f"accuracy 0.9{seed}")
END
script exp/jobs.yaml <<'END'
group: baselines
defaults: {gpus: 1, memory: 8G, time: 4h}
jobs:
  train:
    name: "{dataset}_s{seed}"
    matrix:                       # 2 x 3 = 6 runs
      dataset: [mnist, cifar10]
      seed: [0, 1, 2]
    run: python train.py --dataset {dataset} --seed {seed}
END
script exp/more.yaml <<'END'
jobs: {train: {matrix: {dataset: [mnist, svhn]}, run: "python train.py --dataset {dataset} --seed 0"}}
END
#= run
cat jobs.yaml
gpu-queue run jobs.yaml --simulate 4
#= failed
gpu-queue run more.yaml --simulate 4
