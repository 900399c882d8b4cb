# Each target is one line of work; `make run` and `make test` need nothing but Rust.

.PHONY: run test test-recorder lint update interop interop-mcp interop-mcap conformance github-shapes keychain schemathesis kills disk-full power-cut failing-sync fuzz states sabotage bench curve lives racing-saves follow hooks latency numbers

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

# Official MCP clients (PyPI `mcp`, and npm `@modelcontextprotocol/sdk` where npm is) list and call the tools over stdio and
# HTTP, with IDLE_SECONDS=630 after so long a silence too; stock readers of MCAP (PyPI `mcap`, and npm `@mcap/core` where npm
# is) open a log of 100,000 events.
interop: interop-mcp interop-mcap

interop-mcp:
	cargo build --quiet -p clone-daemon && python3 -m venv target/interop && target/interop/bin/pip install --quiet mcp && mkdir -p target/interop/node && if command -v npm >/dev/null; then npm install --silent --prefix target/interop/node @modelcontextprotocol/sdk && target/interop/bin/python tests/interop/mcp_client.py target/debug/clone target/interop/node; else target/interop/bin/python tests/interop/mcp_client.py target/debug/clone; fi

# The official MCP conformance scenarios (npm) against `/mcp`; each that does not apply is listed with its reason.
conformance:
	cargo build --quiet -p clone-daemon && python3 -m venv target/interop && target/interop/bin/pip install --quiet mcp && mkdir -p target/interop/node && npm install --silent --prefix target/interop/node node@22 @modelcontextprotocol/conformance && target/interop/bin/python tests/interop/conformance.py target/debug/clone target/interop/node

# Requests made up from openapi.json (PyPI `schemathesis`) against a scratch daemon; CASES=… per operation, SEED=….
schemathesis:
	cargo build --quiet -p clone-daemon && python3 -m venv target/schemathesis && target/schemathesis/bin/pip install --quiet schemathesis && python3 tests/rigs/schemathesis.py target/debug/clone target/schemathesis/bin/st $${CASES:-200} $${SEED:-1}

# The keychain of the system, in a session of its own.
keychain:
	{ command -v gnome-keyring-daemon && command -v dbus-run-session; } >/dev/null || apt-get install -y gnome-keyring dbus; dbus-run-session -- sh -c 'echo test | XDG_DATA_HOME=$$(mktemp -d) gnome-keyring-daemon --unlock --components=secrets --daemonize --replace >/dev/null && cargo test -p clone-daemon --lib secrets:: -- --nocapture'

# Every answer of the small GitHub in the tests against the official description (npm `@octokit/openapi`).
github-shapes:
	mkdir -p target/interop/node && npm install --silent --prefix target/interop/node @octokit/openapi@23.0.2 && python3 -m venv target/interop && target/interop/bin/pip install --quiet jsonschema && rm -f target/github-shapes.jsonl && GITHUB_SHAPES=$(CURDIR)/target/github-shapes.jsonl cargo test --test tests github:: && target/interop/bin/python tests/rigs/github_shapes.py target/github-shapes.jsonl target/interop/node/node_modules/@octokit/openapi/generated/api.github.com.deref.json

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

# Editors that save in ten ways race with the daemon over the same notes; SAVES=… and SEED=… for others.
racing-saves:
	SAVES=$${SAVES:-20000} cargo test --test tests racing -- --nocapture

# Plants each bug of schema/src/sabotage.rs: the suite that is named for it must go red.
sabotage:
	python3 tests/rigs/sabotage.py

# The paths of the daemon and its log beside the limits of this machine: a table here, JSON in target/bench.
bench:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && target/release/clone bench all --dir target/bench --out target/bench/all-100000.json

# From a turn written to search finding it, and the import of 250 MB.
follow:
	cargo build --release --quiet -p clone-daemon && python3 tests/bench/follow.py target/release/clone

# What a hook costs: agents' hooks with process start, and a prompt of each shell.
hooks:
	cargo build --release --quiet -p clone-daemon && python3 tests/bench/hooks.py target/release/clone

# A prediction over the socket at three sizes of a history, beside a bare query and `health`; takes some minutes.
latency:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && for events in 10000 100000 1000000; do target/release/clone bench latency --events $$events --dir target/bench --out target/bench/latency-$$events.json || exit 1; done

# The rows of docs/numbers.json, on TURNS=DIR; the README must say the same.
numbers:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && target/release/clone bench honesty --data $(TURNS) --out target/bench/honesty.json

# The log at four lengths up to ten million events, each figure beside its limit; takes some minutes and 4 GB.
curve:
	cargo build --release --quiet -p clone-daemon && mkdir -p target/bench && target/release/clone bench curve --events 10000,100000,1000000,10000000 --dir target/bench --out target/bench/curve.json

# Invented lives with planted facts and traps, cue sentences, contradictions, sensitive statements and poison: what the memory
# makes of them.
lives:
	cargo build --quiet -p clone-daemon && python3 tests/rigs/lives.py target/debug/clone
	for words in second third fourth fifth; do \
		python3 tests/rigs/lives.py target/debug/clone lives cues conflicts --data tests/data/memory/$$words || exit 1; done
