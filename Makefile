# Every target installs what it needs. Needed beforehand: Python >= 3.11 and make (and Go, or network access to the
# official releases, for the local cluster).
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo build/tools/bin/uv)
RUN := $(UV) run --locked --no-progress

.PHONY: help setup binaries demo test test-fast check format generate bench-revert bench-idle bench-audit bench-judging bench-planning bench-backtest bench clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build/tools/bin/uv:
	$(PYTHON) -m venv build/tools && build/tools/bin/pip install --quiet --disable-pip-version-check uv

setup: $(if $(findstring build/,$(UV)),build/tools/bin/uv) ## the locked environment in .venv
	@$(UV) sync --locked --quiet

binaries: setup ## etcd, kube-apiserver, Prometheus and Traefik for the local cluster (cached)
	@$(RUN) modelrelease sandbox binaries

demo: binaries ## four releases on live traffic: a good one, a worse prompt, a worse model, one that fails
	@$(RUN) python -m modelrelease.demo

test: binaries ## all tests, on the real local cluster
	@$(RUN) pytest -n 2 --dist loadfile

test-fast: setup ## the tests that need no cluster
	@$(RUN) pytest -m "not cluster"

check: setup ## format, lint, types, import contracts, generated files
	@$(RUN) ruff format --check . && $(RUN) ruff check . && $(RUN) mypy && $(RUN) lint-imports && $(RUN) python -m modelrelease.api.crds --check crds && $(RUN) python -m modelrelease.engine.diagram --check docs/states.md

format: setup ## format and mend what can be mended
	@$(RUN) ruff format . && $(RUN) ruff check --fix .

generate: setup ## crds/ and docs/states.md
	@$(RUN) python -m modelrelease.api.crds crds && $(RUN) python -m modelrelease.engine.diagram docs/states.md

bench-revert: binaries ## failure to last candidate answer on the wire -> build/bench/revert.json
	@$(RUN) python -m benchmarks.revert

bench-idle: binaries ## 1,000 quiet releases -> build/bench/idle.json
	@$(RUN) python -m benchmarks.idle

bench-audit: setup ## verifying 100,000 records -> build/bench/audit.json
	@$(RUN) python -m benchmarks.audit

bench-judging: setup ## the judge against Wald, Flagger, Argo Rollouts and Kayenta, half an hour (JUDGING=--quick: 3 min) -> build/bench/judging.json
	@$(RUN) python -m benchmarks.judging $(JUDGING)

bench-planning: setup ## forecasts of stage lengths against simulated releases -> build/bench/planning.json
	@$(RUN) python -m benchmarks.planning

bench-backtest: setup ## 30 days of 6 gates, CPU time -> build/bench/backtest.json
	@$(RUN) python -m benchmarks.backtest

bench: bench-revert bench-idle bench-audit bench-backtest bench-judging ## all benchmarks

clean: ## what the targets made, without the cached binaries
	rm -rf build .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
