# sextant: build, demo, test, lint, bench.
#
# The embedded inference engine is C and C++. Its kernels are compiled for
# AVX-512, AVX2 and plain x86-64 (or for the machine, elsewhere) in one binary,
# which chooses when it starts: no -march is needed, one release serves all.
# Without optimisation it would be about thirty times slower; a binary built
# like that says so when it starts.

GO      ?= go
BIN     := bin/sextant
export CGO_CFLAGS   := -O3
export CGO_CXXFLAGS := -O3
TAGS    := engine
DEMO    := outputs/demo

.PHONY: build demo test lint bench bench-configs compiler nightly

build: compiler
	@mkdir -p bin
	@echo "building $(BIN) (the first build compiles the inference engine: one to three minutes)"
	$(GO) build -tags $(TAGS) -o $(BIN) ./cmd/sextant

# Says which package to install where there is no compiler.
compiler:
	@command -v $(GO) >/dev/null 2>&1 || { echo "Go is missing: install Go 1.26 or newer (https://go.dev/dl), then run make again" >&2; exit 1; }
	@command -v $${CC:-cc} >/dev/null 2>&1 && command -v $${CXX:-c++} >/dev/null 2>&1 || { \
	  echo "a C and C++ compiler is missing; the inference engine needs one. Install it and run make again:" >&2; \
	  echo "  Debian, Ubuntu:  apt-get install build-essential" >&2; \
	  echo "  Fedora:          dnf install gcc gcc-c++" >&2; \
	  echo "  macOS:           xcode-select --install" >&2; \
	  echo "Without one, 'CGO_ENABLED=0 go build -o bin/sextant ./cmd/sextant' gives everything but the engine." >&2; exit 1; }

demo: build
	$(BIN) run eval_demo.py -w $(DEMO) --offline

# Packages whose tests start clusters, browsers and many processes come last and
# one after the other: two at once would starve each other on a small machine.
ALONE   := /internal/(chaos|cli|mirror|object|report|runner)(/|$$)
GOTEST  := $(GO) test -tags $(TAGS) -race -shuffle=on -timeout 30m

test: compiler
	$(GO) vet -tags $(TAGS) ./...
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/sextant
	@all=$$($(GO) list -tags $(TAGS) ./...) || exit 1; failed=0; \
	echo "$(GOTEST) (all but the following)"; $(GOTEST) $$(echo "$$all" | grep -Ev '$(ALONE)') || failed=1; \
	echo "$(GOTEST) -p 1 (clusters, browser, processes)"; $(GOTEST) -p 1 $$(echo "$$all" | grep -E '$(ALONE)') || failed=1; \
	exit $$failed

# What takes too long for every change: 50 rounds of a run that is disturbed at
# random, the whole founding evaluation killed and cut in all ways, four workers
# of unequal speed. SEXTANT_CHAOS_SEED repeats a round.
nightly: compiler
	SEXTANT_CHAOS_ROUNDS=50 SEXTANT_CHAOS_FULL=1 $(GO) test -tags $(TAGS) -v -timeout 60m ./internal/chaos/

lint:
	@test -z "$$(gofmt -l cmd internal catalog)" || { gofmt -l cmd internal catalog; exit 1; }
	$(GO) vet -tags $(TAGS) ./...

# The largest config: all published datasets of OpenCompass for four models.
bench-configs: build
	tools/bench-all-datasets.sh $(BIN)

bench: build
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchmem ./internal/...
