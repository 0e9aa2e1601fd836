# Start with `make demo` and `make test`. `make help` lists all commands.
VERSION ?= 0.1.0-dev
LDFLAGS  = -s -w -X github.com/kyujobs/kyu/internal/version.Number=$(VERSION)
FUZZTIME ?= 5m
SEED    ?= 0
SIZE    ?= full
ARRANGE ?=
RUN     ?= .

.PHONY: help build demo test check fuzz interop-new faults soak cron-soak scorecard stress supply bench bench-compare starvation bench-live bin/testworker bin/loadtest bin/rivals bench-dashboard bench-deadhosts screenshots man deb deps clean

help: ## print this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 17

build: ## build bin/worker, bin/workerctl and bin/dashboard
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/worker ./cmd/workerctl ./cmd/dashboard

demo: build ## show Kyu at work, in less than a minute
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/demo ./examples/demo
	@bin/demo

test: deps build check ## install the servers that the tests need, and run all tests
	@scripts/test.sh

deps:
	@scripts/deps.sh

check: ## check format, vet, staticcheck and the length of lines
	@scripts/check.sh

fuzz: ## run every fuzz target for FUZZTIME (default 5m)
	@scripts/fuzz.sh $(FUZZTIME)

interop-new: deps ## run test/interop with Sidekiq 7.3 and 8.1 in chroots (root; 10 minutes); CHROOTS=folder
	@RUN='$(RUN)' scripts/interop-new.sh

bench: ## run the Go benchmarks of the envelope, a push, and fetch with settle
	@go test ./queue -run '^$$' -bench . -benchmem

bin/testworker: # the worker and the test jobs; built as the worker is, for figures that are the worker's
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./test/kit/testworker

bin/loadtest: bin/testworker
	@CGO_ENABLED=0 go build -trimpath -o bin/loadtest ./loadtest

bin/rivals:
	@cd loadtest/compare/rivals && CGO_ENABLED=0 go build -trimpath -o ../../../bin/rivals .

bench-compare: deps bin/loadtest bin/rivals ## measure speed and cost beside Sidekiq, Asynq, River and a bare loop (50 minutes)
	@bin/loadtest compare

starvation: deps bin/loadtest ## compare one process with several and lanes with none, when a queue is over-filled (8 minutes)
	@bin/loadtest starvation

bench-live: bin/loadtest ## measure the stream of the dashboard with up to 10,000 clients (3 minutes)
	@bin/loadtest live

bench-dashboard: deps build bin/loadtest ## measure the pages of the dashboard beside 11 million jobs (10 minutes, 6 GB of RAM); SIZE=smoke
	@bin/loadtest pages $(if $(filter smoke,$(SIZE)),--retries 20000 --queued 100000 --length 20s)

screenshots: deps ## make the pictures of docs/dashboard.md anew
	@go test ./test/browser -run TestPictures -count=1 -args -pictures $(CURDIR)/docs/img

bench-deadhosts: deps ## measure deliveries when one in twenty goes to a host that never answers
	@go test ./test/acceptance -run '^$$' -bench DeadHosts -benchtime 1x -timeout 20m

faults: deps ## run a million jobs under 1,000 kills and 500 network faults (20 minutes); SEED=n SIZE=smoke ARRANGE=names
	@go test ./test/faults -run TestLongRun -count=1 -v -timeout 60m \
		-args -size $(SIZE) -seed $(SEED) -arrangements '$(ARRANGE)' -out bin/faults

soak: deps ## run ten million jobs under 5,000 faults (hours)
	@go test ./test/faults -run TestLongRun -count=1 -v -timeout 12h \
		-args -size soak -seed $(SEED) -arrangements '$(ARRANGE)' -out bin/faults

cron-soak: deps ## push 60 entries a second from 20 processes with wrong clocks, under kills and a deploy (11 minutes)
	@go test ./capability/cron -run TestSoak -count=1 -v -timeout 30m -args -soak 10m

scorecard: deps ## run every row of docs/reliability.md at full size (1 hour); RUN=pattern for some rows
	@go test ./test/faults -run '$(RUN)' -skip TestLongRun -count=1 -v -timeout 3h \
		-args -size full -seed $(SEED) -out bin/faults
	@go test ./test/faults/model -run TestProtocol -count=1 -v -timeout 30m -args -states 25000000
	@go test ./capability/cron -run TestModel -count=1 -v -timeout 30m -args -states 500000
	@go test ./queue -run 'Linear|AnySequence' -count=1 -v -timeout 30m -args -history 1000000 -rapid.checks 1000

stress: deps ## run the tests of the core packages 20 times, shuffled, with the race detector
	@go test -race -count=20 -shuffle=on -timeout 2h ./queue ./worker ./test/faults/model

supply: ## check a release: byte-identical builds, SBOM, gosec, govulncheck
	@scripts/supply.sh

# The pages are written by programs of this machine, also if GOARCH says that the package is for
# another one.
man deb: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
man: ## write the man pages, and the completions of workerctl, into bin/share
	@rm -rf bin/share && mkdir -p bin/share
	@GOOS= GOARCH= CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/share/ ./cmd/worker ./cmd/workerctl ./cmd/dashboard
	@bin/share/workerctl man bin/share/man
	@bin/share/worker --man >bin/share/man/worker.1
	@bin/share/dashboard --man >bin/share/man/dashboard.1
	@gzip -9n bin/share/man/*.1
	@for shell in bash zsh fish; do bin/share/workerctl completion $$shell >bin/share/$$shell || exit 1; done
	@rm bin/share/worker bin/share/workerctl bin/share/dashboard

deb: build man ## build the Debian package, bin/kyu_*.deb
	@VERSION=$(VERSION) ARCH=$$(go env GOARCH) scripts/deb.sh

clean: ## remove bin/
	rm -rf bin
