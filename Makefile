# make demo [PHOTO=path]   everything from nothing to a Blender scene in out/
# make test                the tests on the Blender that fits this Python
# make test-matrix         the tests on every supported Blender; REAL_BLENDER names an executable to try too
# make test-others         the same without the one that make test takes
# make test-all            make test and make test-others at once
# make test-window         a real Blender's window, by mouse and keyboard; REAL_BLENDER names it
# make check               style and types
# make zip                 the extension, in dist/
# make bench [PHOTO=path]  seconds by stage
# make benchmark           accuracy against pictures whose truth is known, in out/benchmark.json and a page beside it;
#                          of clips, in out/benchmark_clips.json
# make clean               removes what these commands made, the environment too

PYTHON ?= python3
export DICE_RUNTIME := $(CURDIR)/.venv
RUN := $(DICE_RUNTIME)/python/bin/python

.PHONY: demo test test-matrix test-others test-all test-window check zip bench benchmark environment clean

demo:
	@$(PYTHON) -m tools.prepare
	@"$(RUN)" -m tools.demo --out out $(if $(PHOTO),"$(PHOTO)")

test: environment
	@$(PYTHON) -m tools.run_tests core blender

test-matrix: environment
	@$(PYTHON) -m tools.run_tests matrix real

test-others: environment
	@$(PYTHON) -m tools.run_tests others real

test-all: environment
	@$(PYTHON) -m tools.run_tests core matrix real

test-window: environment
	@$(PYTHON) -m tools.run_tests window

check: environment
	@"$(RUN)" -m ruff check .
	@"$(RUN)" -m mypy

zip:
	@$(PYTHON) -m tools.prepare
	@$(PYTHON) -m tools.build_zip

bench: environment
	@"$(RUN)" -m tools.bench $(if $(PHOTO),"$(PHOTO)")

benchmark: environment
	@"$(RUN)" -m tools.make_benchmark test
	@"$(RUN)" -m tools.benchmark.run out/benchmark/test --page
	@"$(RUN)" -m tools.benchmark.clips test
	@"$(RUN)" -m tools.benchmark.run_clips out/benchmark/clips/test

environment:
	@$(PYTHON) install_deps.py --target "$(DICE_RUNTIME)" --dev --engine dice --research

clean:
	rm -rf .venv out dist .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
