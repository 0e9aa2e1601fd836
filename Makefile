# The two commands are `make demo` and `make test`; `make help` lists the others.
VERSION ?= 0.1.0-dev
LDFLAGS  = -s -w -X github.com/kyujobs/kyu/internal/version.Number=$(VERSION)
FUZZTIME ?= 5m
SEED    ?= 0
SIZE    ?= full
ARRANGE ?=
RUN     ?= .

.PHONY: help build demo test check fuzz faults soak scorecard stress supply bench bench-peers starvation bin/loadtest bench-deadhosts deb deps clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: ## build bin/worker and bin/workerctl
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/worker ./cmd/workerctl

demo: build ## see it work, in less than a minute
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/demo ./examples/demo
	@bin/demo

test: deps build check ## install what the tests need, and run everything
	@scripts/test.sh

deps:
	@scripts/deps.sh

check: ## format, vet, staticcheck, import directions
	@scripts/check.sh

fuzz: ## every fuzz target for FUZZTIME each
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## Go benchmarks of the envelope, a push, and fetch with settle
	@go test ./queue -run '^$$' -bench . -benchmem

bin/loadtest: build
	@CGO_ENABLED=0 go build -trimpath -o bin/loadtest ./loadtest

bench-peers: deps bin/loadtest ## throughput, latency, cost beside Sidekiq, Asynq, River and the bare loop (fifty minutes)
	@cd loadtest/peers && CGO_ENABLED=0 go build -trimpath -o ../../bin/peers .
	@bin/loadtest peers

starvation: deps bin/loadtest ## one process against several, when a queue is over-filled (three minutes)
	@bin/loadtest starvation

bench-deadhosts: deps ## deliveries when one in twenty goes to a host that never answers
	@go test ./test/acceptance -run '^$$' -bench DeadHosts -benchtime 1x -timeout 20m

faults: deps ## a million jobs, a thousand kills, 500 network faults in all arrangements (twenty minutes); SEED=n SIZE=smoke ARRANGE=names
	@go test ./test/faults -run TestNothingIsLost -count=1 -v -timeout 60m \
		-args -size $(SIZE) -seed $(SEED) -arrangements '$(ARRANGE)' -out bin/faults

soak: deps ## the same for hours: ten million jobs, five thousand faults
	@go test ./test/faults -run TestNothingIsLost -count=1 -v -timeout 12h \
		-args -size soak -seed $(SEED) -arrangements '$(ARRANGE)' -out bin/faults

scorecard: deps ## every row of docs/reliability.md as often as it asks; RUN=pattern for some (an hour)
	@go test ./test/faults -run '$(RUN)' -skip TestNothingIsLost -count=1 -v -timeout 3h \
		-args -size full -seed $(SEED) -out bin/faults
	@go test ./test/faults/model -run Order -count=1 -v -timeout 30m -args -states 25000000
	@go test ./queue -run 'Linear|AnySequence' -count=1 -v -timeout 30m -args -history 1000000 -rapid.checks 1000

stress: deps ## the core packages twenty times, shuffled, with the race detector
	@go test -race -count=20 -shuffle=on -timeout 2h ./queue ./worker ./test/faults/model

supply: ## what a release carries: byte-identical builds, SBOM, gosec, govulncheck
	@scripts/supply.sh

deb: build ## bin/kyu_VERSION_ARCH.deb: the programs and their units
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) VERSION=$(VERSION) ARCH=$$(go env GOARCH) \
		go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0 package -f deploy/deb/nfpm.yaml -p deb -t bin/

clean: ## remove what was built
	rm -rf bin
