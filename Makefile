# Each target is one line of work; `make run` and `make test` need nothing but Rust.

.PHONY: run test test-recorder lint update interop interop-mcp interop-mcap kills disk-full power-cut failing-sync fuzz states sabotage bench latency numbers curve

# Builds, starts a daemon in a demo home, imports the shipped sample, shows what it learned and predicts. The tests are
# built along, because they widen the features of the dependencies: built apart, `make test` would build those again.
run:
	@echo "building; the first time takes some minutes" && cargo test --no-run --quiet && target/debug/clone demo tests/data/sample/claude-code

test:
	cargo test

# The recorder will need GStreamer; until its issue it needs nothing and says that it is not built.
test-recorder:
	cargo test -p clone-recorder

lint:
	cargo fmt --all --check && cargo clippy --workspace --all-targets --quiet -- -D warnings && RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# Writes the generated files again: events.schema.json and events.ts.
update:
	UPDATE=1 cargo test -p clone-schema

# An official MCP client (PyPI package `mcp`) lists and calls the tools over stdio; stock readers of MCAP (PyPI `mcap`, and
# npm `@mcap/core` where npm is) open a log of 100,000 events.
interop: interop-mcp interop-mcap

interop-mcp:
	cargo build --quiet -p clone-daemon && python3 -m venv target/interop && target/interop/bin/pip install --quiet mcp && target/interop/bin/python tests/interop/mcp_client.py target/debug/clone

interop-mcap:
	cargo build --quiet -p clone-daemon && python3 -m venv target/interop && target/interop/bin/pip install --quiet mcap jsonschema rfc3339-validator && mkdir -p target/interop/node && { command -v npm >/dev/null && npm install --silent --prefix target/interop/node @mcap/core fzstd || true; } && target/interop/bin/python tests/interop/mcap_reader.py target/debug/clone --node target/interop/node

# The long kill -9 loop.
kills:
	KILLS=300 cargo test --test tests crash -- --nocapture

# Fills a small disk under a daemon, frees it, twenty times in three ways; as root, because it mounts a tmpfs.
disk-full:
	cargo build --quiet -p clone-daemon && python3 tests/rigs/disk_full.py target/debug/clone

# Cuts the power under a daemon; only with POWER_CUT=1, as root, because it mounts loop devices.
power-cut:
	test "$$POWER_CUT" = 1 && (command -v mkfs.xfs >/dev/null || apt-get install -y xfsprogs) && cargo build --quiet -p clone-daemon && python3 tests/rigs/power_cut.py target/debug/clone --cuts 200

# Fails the Nth sync of the log, once and for ever, with strace.
failing-sync:
	command -v strace >/dev/null || apt-get install -y strace; cargo build --quiet -p clone-daemon && python3 tests/rigs/failing_sync.py target/debug/clone

# Each fuzz target for three minutes, or FUZZ_SECONDS=…; without a sanitizer the stable compiler will do.
fuzz:
	command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz; cd tests/fuzz && cp ../../Cargo.lock . && for target in segment inspect block event markdown scrub; do cargo fuzz run --fuzz-dir . -s none $$target -- -max_total_time=$${FUZZ_SECONDS:-180} -dict=words.dict || exit 1; done

# Two million crash states of the log; SEED=… for others.
states:
	STATES=$${STATES:-2000000} cargo test -p clone-daemon --lib log::crash_states -- --nocapture

# Plants each bug of schema/src/sabotage.rs: the suite that is named for it must go red.
sabotage:
	python3 tests/rigs/sabotage.py

# The paths of the daemon and its log beside the limits of this machine: a table here, JSON in target/bench.
bench:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && target/release/clone bench all --dir target/bench --out target/bench/all-100000.json

# A prediction over the socket at three sizes of a history, beside a bare query and `health`; takes some minutes.
latency:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && for events in 10000 100000 1000000; do target/release/clone bench latency --events $$events --dir target/bench --out target/bench/latency-$$events.json || exit 1; done

# The rows of docs/numbers.json, on TURNS=DIR; the README must say the same.
numbers:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && target/release/clone bench honesty --data $(TURNS) --out target/bench/honesty.json

# The log at four lengths up to ten million events, each figure beside its limit; takes some minutes and 4 GB.
curve:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && target/release/clone bench curve --events 10000,100000,1000000,10000000 --dir target/bench --out target/bench/curve.json
