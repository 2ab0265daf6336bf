# Every target works on a fresh clone: the one virtual environment is made when it is needed.

PYTHON ?= python3
# What is installed: dev, or dev,torch for the keep-alive and its tests.
EXTRAS ?= dev
VENV := .venv
BIN := $(VENV)/bin
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
WEB_STAMP := $(VENV)/.installed-web
SHELL_FILES := client.sh submit.sh gpu_queue/execution/shim.sh gpu_queue/ways/* examples/ways/* tests/sco/bin/sco examples/train.sh examples/two-nodes.sh .ci/run \
	examples/demo*.sh examples/shared/scripts/*.sh examples/documents/FedWhat/*.sh \
	examples/documents/scripts/*.sh examples/documents/scripts/compete_gpu_retry/*.sh \
	examples/documents/scripts/compete_gpu_retry/control/*.sh \
	tests/sharedfs/guest.sh tests/samples/sessions/*.sh

.PHONY: help venv demo demo-shared test test-again test-sharedfs test-slurm test-libraries test-ways test-hydra lint format docs docs-samples attack soak bench bench-console gpu-report console console-demo console-shots console-dev console-check clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

venv: $(STAMP) ## make the virtual environment

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment with $(PYTHON): install python3-venv, or pass PYTHON=…" >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP) ## start an agent here, submit examples/train.sh, follow it to its end
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

demo-shared: $(STAMP) ## a server that several people share: three queues, six tasks, two GPUs
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo-shared.sh

test: $(STAMP) ## the test suite; ALL=1: each case in zsh too, and what takes long; WORKERS=4 so many at once
	@$(if $(ALL),GPU_QUEUE_TEST_ALL=1) $(BIN)/python -m pytest $(if $(WORKERS),-n $(WORKERS)) \
		$(if $(ALL),-m 'not soak and not ways and not libraries')

test-again: $(STAMP) ## the few tests that failed last time, one after the other; those that pass now are named
	@$(BIN)/python -m tests.again

test-sharedfs: $(STAMP) ## real NFS and GlusterFS, broken on purpose; FAST=1 ALL=1 TABLE=1 ONLY=word JOBS=2
	@$(BIN)/python -m tests.sharedfs \
		$(if $(FAST),--fast) $(if $(ALL),--all) $(if $(TABLE),--table) $(if $(ONLY),--only $(ONLY)) $(if $(JOBS),--jobs $(JOBS))

test-slurm: $(STAMP) ## a real Slurm of two pretended nodes (slurm-wlm, munge); ALL=1 for what takes minutes
	@GPU_QUEUE_TEST_SLURM=$(if $(ALL),all,1) $(BIN)/python -m pytest tests/slurm -n 6 --dist load --maxschedchunk 1 \
		-o timeout=300 -o cache_dir=.pytest_cache/slurm # of its own: it may run beside `make test`, whose failures are tried again

test-libraries: $(STAMP) ## trainings with Lightning, transformers and submitit are warned and go on: installs 1 GB into build/libraries
	[ -x build/libraries/bin/accelerate ] || { $(BIN)/python -m venv build/libraries && \
		build/libraries/bin/pip install -q torch lightning transformers accelerate submitit; }
	@GPU_QUEUE_TEST_LIBRARIES=$(CURDIR)/build/libraries $(BIN)/python -m pytest -m libraries -n 0 -v tests/libraries

test-ways: $(STAMP) ## a real Ray cluster, schemas of Kubernetes: installs 530 MB into build/; ONLY=ray ONLY=k8s
	@$(BIN)/python -m pytest -m ways -n 0 -p no:randomly -v $(if $(ONLY),-k $(ONLY)) tests/ways

test-hydra: $(STAMP) ## Hydra's own suites for launchers, on the installed Hydra and on the next one, into build/hydra-next
	@GPU_QUEUE_TEST_ALL=1 $(BIN)/python -m pytest -m "" -n 0 tests/integrations/test_hydra.py
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --target build/hydra-next --no-deps \
		hydra-core==1.4.0rc3 hydra-submitit-launcher==1.4.0rc3 omegaconf==2.4.1rc1
	@PYTHONPATH=build/hydra-next GPU_QUEUE_TEST_ALL=1 $(BIN)/python -m pytest -m "" -n 0 tests/integrations/test_hydra.py

# To follow values through the 5,500 lines of client.sh takes shellcheck two minutes of a processor in place of seven seconds.
lint: $(STAMP) ## ruff, mypy, shellcheck; ALL=1: with all that shellcheck can do
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck $(if $(ALL),,--extended-analysis=false) client.sh
	$(BIN)/shellcheck --exclude=SC1091 $(filter-out client.sh,$(wildcard $(SHELL_FILES))) # client.sh, which some source, was read above

format: $(STAMP) ## let ruff lay the code out
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(STAMP) ## write anew what is made from the code: schemas, the man page, the completion
	$(BIN)/python -m gpu_queue.config >docs/config.schema.json
	$(BIN)/gpu-queue schema >docs/experiment.schema.json
	for one in bash:completion.bash zsh:_gpu-queue tcsh:completion.tcsh; do \
		$(BIN)/shtab --error-unimportable --shell "$${one%:*}" gpu_queue.cli.build_parser >"gpu_queue/shell/$${one#*:}" || exit; \
	done
	COLUMNS=80 $(BIN)/argparse-manpage --module gpu_queue.cli --function build_parser --project-name gpu-queue \
		--manual-title "gpu-queue" --format single-commands-section --output docs/man1/gpu-queue.1 \
		--version "$$($(BIN)/gpu-queue --version | cut -d ' ' -f 2)" \
		--description "a queue for GPU jobs that needs nothing but a shared directory"
	@sed -i '/^usage: /,/^$$/{ s/^ \{7\}//; s/^usage: /.nf\n/; s/^$$/.fi\n/ }' docs/man1/gpu-queue.1 # lines as they are broken

docs-samples: $(STAMP) ## type the commands of the documentation, write what they say; ONLY=session ANEW=1
	@$(BIN)/python -m tests.samples $(if $(ONLY),--only $(ONLY)) $(if $(ANEW),--anew)

attack: $(STAMP) ## an adversary's rounds, some ten minutes; SECONDS=40 ONLY=word TABLE=1
	@$(BIN)/python -m tests.attack $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only "$(ONLY)") $(if $(TABLE),--table)

$(WEB_STAMP): $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS),web]'
	@touch $@

console: $(WEB_STAMP) ## build the pages of the console with Node from PyPI, into gpu_queue/console/static
	@$(BIN)/python gpu_queue/console/web/build.py build

console-demo: $(STAMP) ## the web console on a queue with a past, three agents and people who use it; PORT=29214
	@$(BIN)/python -m tests.console.stage $(if $(PORT),--port $(PORT))

console-shots: $(STAMP) ## pictures of each page, both themes, wide and narrow, both languages: build/console-shots; DOCS=1 those of the documentation
	@$(BIN)/python -m tests.console.shots $(if $(ONLY),--only $(ONLY)) $(if $(DOCS),--docs)

console-dev: $(WEB_STAMP) ## serve the pages from their sources; GPUQ_CONSOLE=http://127.0.0.1:29214 answers requests
	@$(BIN)/python gpu_queue/console/web/build.py dev

console-check: $(WEB_STAMP) ## types, texts and the built pages are what the sources make
	@$(BIN)/python gpu_queue/console/web/build.py check

soak: $(STAMP) ## kill agents at random for minutes; nothing may be lost
	$(BIN)/python -m pytest -m soak -n 0 -o timeout=0 -s

bench-console: $(STAMP) ## what the console costs, against its budgets; QUICK=1 ONLY=pages
	@$(BIN)/python -m benchmarks.console.bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

bench: $(STAMP) ## start latency and throughput, beside tsp and a bare loop
	$(BIN)/python benchmarks/bench.py

gpu-report: ## the keep-alive, measured on a GPU that nobody uses, PYTHON= has torch; ONLY=yield SECONDS=60 INTO=dir
	@$(PYTHON) benchmarks/gpu_report.py \
		$(if $(ONLY),--only $(ONLY)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(INTO),--into $(INTO))

clean: ## remove what make made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo
