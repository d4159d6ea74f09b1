# The README's commands are `make demo` and `make test`. Each sets up what it
# needs in .tools and says in one line what is missing if it cannot.

SHELL   := /bin/bash
BIN     := bin/ml-intern
TOOLS   := $(CURDIR)/.tools
export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: demo test test-llama build cross lint bench bench-hub setup clean

demo: build setup
	@$(BIN) demo

build: .go-there
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BIN) ./cmd/ml-intern

# The race detector needs a C compiler; without one the tests run without it.
test: .go-there setup
	@if command -v cc >/dev/null; then race=-race; else echo "make test: no C compiler (cc): running without the race detector" >&2; fi; \
	go vet ./... && go test $$race -timeout 25m ./...

cross: .go-there
	@for os in darwin windows; do \
	  echo "build for $$os"; CGO_ENABLED=0 GOOS=$$os go build -o /dev/null ./cmd/ml-intern && GOOS=$$os go vet ./cmd/... ./internal/... || exit 1; \
	done

lint: .go-there
	@scripts/lint

# The official clients of the Hub against our server; needs package indexes once.
.PHONY: test-interop
test-interop: build setup
	@scripts/test-interop

# The real programs on the other side of our protocols, from npm; one minute.
.PHONY: test-doors
test-doors: .go-there
	@scripts/test-doors

# Compiles llama.cpp the first time, about five minutes.
test-llama: .go-there
	@scripts/test-llama

# Installs openssh-server if it is missing, as root on Debian.
.PHONY: test-ssh
test-ssh: .go-there
	@scripts/test-ssh

# Starts a real Slurm of one node, as root, without accounts and then with them; about ten minutes.
.PHONY: test-slurm
test-slurm: .go-there
	@scripts/test-slurm
	@SLURM_TEST_ACCOUNTS=1 scripts/test-slurm -run 'TestFaults/(Forgotten|AccountsOfSecrets)|TestHere/(Succeeds|Fails)'

# The promises of every backend on a real Slurm, and an answer that is lost; about two minutes.
.PHONY: test-slurm-short
test-slurm-short: .go-there
	@scripts/test-slurm -run 'TestHere|TestBySSH/(Succeeds|Fails|Secrets|CancelRunning|Labels|LogCursor)|TestFaults/(AnswerLost|SentTwice|AgentKilled)'

# Installs Ray once, 300 MB, and starts real heads and nodes.
.PHONY: test-ray
test-ray: .go-there
	@scripts/test-ray

# Ways out of the sandbox, with all walls up and with one down; as root also as a user without rights.
.PHONY: test-escape
test-escape: .go-there
	@scripts/test-escape

# Runs the program with GNOME's keyring, open, locked and hanging; half a minute.
.PHONY: test-keyring
test-keyring: .go-there
	@scripts/test-keyring

# Runs the walls without namespaces in a real container; needs root, podman and runc.
.PHONY: test-container
test-container: .go-there
	@scripts/test-container

# The same of a real Ray; about two minutes.
.PHONY: test-ray-short
test-ray-short: .go-there setup
	@RAY_RUN='Backend/(Succeeds|Fails|Secrets|LogCursor|TimeLimit|CancelRunning|Labels|OneLabelOneJob)|RealFaults/LostAnswer' scripts/test-ray

# Builds the program a second time with a clock that can be moved, and moves it.
.PHONY: test-clock
test-clock: .go-there setup
	@ML_INTERN_TEST_CLOCK=1 go test ./cmd/ml-intern -count=1 -timeout 20m -parallel 13 -run 'TestClockJump|TestNetworkAway|TestKilledWhileAway' -v

# Jobs that end badly, networks that fail, agents that are killed, clocks that jump.
.PHONY: test-faults
test-faults: test-clock
	@go test ./cmd/ml-intern -count=1 -timeout 20m -run 'TestJobFaults|TestKilledAnywhere|TestFaults' -v

# The tests with one processor, in another order, without a home and as nobody, with other umasks, time zones and folders; half an hour.
.PHONY: test-odd
test-odd: .go-there setup
	@scripts/test-odd

# Runs the full screen in a real terminal, tmux, which it installs if it is missing, as root on Debian; about two minutes.
.PHONY: test-tui
test-tui: .go-there
	@scripts/test-tui

# Drives the page of serve in Chromium, which it installs if it is missing, as root on Debian; about two minutes.
.PHONY: test-web
test-web: .go-there
	@scripts/test-web

bench: build
	@scripts/bench

bench-hub: build
	@scripts/bench-hub

# What the program weighs, and that the linker can leave methods out.
.PHONY: size
size: .go-there
	@scripts/size

# Archives, Debian packages, SBOMs and checksums in dist/; builds goreleaser the first time.
.PHONY: release
release: .go-there
	@scripts/release

setup:
	@scripts/setup

.PHONY: .go-there
.go-there:
	@command -v go >/dev/null || { echo "make: Go is missing: install Go 1.26 or newer from go.dev/dl" >&2; exit 1; }

clean:
	rm -rf bin dist .tools ml-intern-demo
