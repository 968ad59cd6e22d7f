# Two commands do everything on a fresh machine with Rust:
#   make demo   builds the release binary and runs the demo
#   make test   installs what the tests need, and runs all checks and tests
# There is one profile, release: it serves the binary and the tests, so that
# the dependencies are built once.

CARGO ?= cargo
# Deny's advisory database can't be fetched everywhere; CI and the test command
# run without it. `make advisories` fetches it.
DENY_CHECKS = bans licenses sources

.PHONY: demo test check test-tools nextest advisories bench clean

demo:
	@bash scripts/demo.sh

## the quick part: form, lints, docs, licences
check:
	@bash scripts/step.sh "fmt" $(CARGO) fmt --check
	@bash scripts/step.sh "clippy" $(CARGO) clippy --release --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" bash scripts/step.sh "doc" $(CARGO) doc --release --locked --no-deps --document-private-items
	@bash scripts/step.sh "deny" scripts/deny.sh $(DENY_CHECKS)

## everything: the quick part and all tests against real servers
test: test-tools check nextest

nextest:
	@bash scripts/step.sh "tests" $(CARGO) nextest run --release --locked

test-tools:
	@bash scripts/step.sh "tools" scripts/test-tools.sh

advisories:
	@scripts/deny.sh advisories

bench:
	@$(CARGO) bench --profile release --locked

clean:
	$(CARGO) clean
