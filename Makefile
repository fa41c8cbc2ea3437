# sextant: build, demo, test, lint, bench.
#
# The embedded inference engine (ggml) is C and C++. Without optimisation flags
# it is about thirty times slower, so they are set here; a binary built without
# them says so when it starts.

GO      ?= go
BIN     := bin/sextant
ARCH    := $(shell uname -m)

# The newest x86-64 level that this machine has: v4 (AVX-512) or v3 (AVX2).
ifeq ($(ARCH),x86_64)
MARCH   ?= $(shell f="$$(grep -m1 '^flags' /proc/cpuinfo 2>/dev/null)"; ok=1; for x in avx512f avx512bw avx512cd avx512dq avx512vl; do case " $$f " in *" $$x "*) ;; *) ok=0;; esac; done; [ $$ok = 1 ] && echo x86-64-v4 || echo x86-64-v3)
CFLAGS_ENGINE := -O3 -march=$(MARCH)
else
CFLAGS_ENGINE := -O3
endif
export CGO_CFLAGS   := $(CFLAGS_ENGINE)
export CGO_CXXFLAGS := $(CFLAGS_ENGINE)
TAGS    := engine
DEMO    := outputs/demo

.PHONY: build demo test lint bench compiler nightly

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

test: compiler
	$(GO) vet -tags $(TAGS) ./...
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/sextant
	$(GO) test -tags $(TAGS) -race -shuffle=on -timeout 30m ./...

lint:
	@test -z "$$(gofmt -l cmd internal catalog)" || { gofmt -l cmd internal catalog; exit 1; }
	$(GO) vet -tags $(TAGS) ./...

bench: build
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchmem ./internal/...
