# `make demo` shows Rollcall at work; `make test` checks all of it. Both install
# what they need first. ARGS goes to the program: make demo ARGS=--exit

# make fuzz FUZZTIME=10m: how long, or how many inputs (100000x), for each target.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ARGS    :=
FUZZTIME := 30s

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo build release test test-long test-postfix race fuzz vet lint vulnerabilities docs bench screenshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing to run: Postgres, redis-server
	@sh scripts/setup.sh

setup-test: ## the same, and what the tests need: Chromium, PgBouncer, Prometheus, Node.js, and what texts use
	@sh scripts/setup.sh chromium pgbouncer prometheus node curl jq openssl
	@$(MAKE) --no-print-directory -s $(SENDERS)/node_modules/.package-lock.json

# The libraries by which Stripe and Clerk sign: a test sends with them.
SENDERS := cmd/rollcall/testdata/senders
$(SENDERS)/node_modules/.package-lock.json: $(SENDERS)/package-lock.json
	npm ci --prefix $(SENDERS) --no-audit --no-fund

demo: setup build ## play a marketplace's days at a Rollcall of your own
	./bin/rollcall demo $(ARGS)

build: ## bin/rollcall, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/rollcall ./cmd/rollcall

release: ## dist/: programs for Linux and macOS, a container image, SBOMs, checksums
	rm -rf dist
	go run ./cmd/release -version $(VERSION) $$(git log -1 --format='-commit %H -date %cs') -out dist $(ARGS)

# Tests wait for servers more than they compute: four of a package at a time keep
# two cores busy. What go test would vet is vetted already.
test: setup-test vet ## all that CI checks
	go test -timeout 30m -vet=off -parallel 4 ./... $(ARGS)

test-long: setup-test ## the laws under many more draws (-rapid.checks=300)
	go test -timeout 60m ./facts ./history ./store ./store/campaigns ./store/inbox ./web -rapid.checks=300 $(ARGS)
	go test -timeout 60m ./web -run TestNothingHostile -sweep.all
	go test -timeout 60m ./store/customers -run 'TestRules|TestFilters' -rule.stores=20
	go test -timeout 60m ./store/campaigns -run TestSimulation -simulation.people=10000 -simulation.days=120
	go test -timeout 30m ./cmd/rollcall -run TestMailKilled -mail.mails=5000 -mail.kills=50

test-postfix: setup-test ## mail to a real Postfix, which is unpacked and not installed (Debian and Ubuntu)
	sh scripts/postfix.sh bin/postfix
	go test -tags postfix ./e2e -run TestPostfix $(ARGS)

race: setup-test ## the tests under the race detector; needs gcc or clang
	CGO_ENABLED=1 go test -race -timeout 30m ./... $(ARGS)

fuzz: ## random input for all that reads strangers' bytes, each target for FUZZTIME
	@set -e; \
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		targets=$$(go test -list '^Fuzz' $$dir); \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "$$dir $$target"; \
			go test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME); \
		done; \
	done

vet: ## formatting, go vet, go.mod and go.sum
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted; run gofmt -w on:" $$unformatted >&2; exit 1; fi
	go vet ./...
	go mod tidy -diff

lint: vet ## the same, and golangci-lint (.golangci.yml): its first run compiles it
	go tool -modfile=tools/go.mod golangci-lint run ./...

vulnerabilities: ## known faults of dependencies; asks vuln.go.dev
	go tool -modfile=tools/go.mod govulncheck ./...

docs: ## docs/settings.md, docs/cli.md and .env.example, from the program
	go generate ./cmd/rollcall

bench: setup ## measure throughput and latency
	go run ./bench $(ARGS)

screenshots: setup-test build ## the README's pictures of the demo, anew
	go run ./cmd/screenshots ./bin/rollcall docs/images
