# SPDX-License-Identifier: Apache-2.0
# One command each. `make demo` and `make test` install what is missing first; nothing else needs the network.

PREFIX ?= /usr/local
DESTDIR ?=
SEEDS ?= 5
FUZZ_SECONDS ?= 600
SWIFT_FLAGS = --explicit-target-dependency-import-check error
# SwiftPM's sandbox is for plugins, of which there are none; switching it off goes to the compiler, and the package, which has
# to do so, would compile everything again.
RELEASE_FLAGS = -c release --static-swift-stdlib --disable-sandbox $(SWIFT_FLAGS)
SOURCES = Package.swift Sources Tests

.PHONY: help demo test test-systemd test-network test-strict fuzz build release deb lint lint-deb format bench bench-membership \
  bench-strict simulate sim-strict simulate-scale install deps deps-deb clean

help:
	@echo 'make demo       install what is missing, build, and watch a cluster of real daemons at work'
	@echo 'make test       build, lint, run all tests'
	@echo 'make test-systemd  install the package on five hosts with real systemd and try everything (root; else skipped)'
	@echo 'make test-network  real daemons in network namespaces under faults of the network (root; else skipped)'
	@echo 'make test-strict  strict keys on real daemons under every fault for STRICT_SECONDS=$(STRICT_SECONDS) each (root; else skipped)'
	@echo 'make fuzz       feed every decoder of foreign bytes from a coverage-guided fuzzer, FUZZ_SECONDS=$(FUZZ_SECONDS) in all'
	@echo 'make deb        build the Debian package into .build/deb; make lint-deb checks it'
	@echo 'make release    build the programs into .build/release'
	@echo 'make lint       check the style of sources, scripts and the API description'
	@echo 'make format     put the sources into that style'
	@echo 'make bench      measure hot paths, daemons beside Serf, the durable store beside etcd'
	@echo 'make bench-membership  every fault of membership beside Serf, each agent in its own namespace (root; 30 minutes)'
	@echo 'make bench-strict  strict keys of three daemons beside three etcd: rates, latencies, fail-over'
	@echo 'make simulate   run every scenario over SEEDS=$(SEEDS) fresh seeds'
	@echo 'make sim-strict  the scenarios of strict keys over STRICT_SEEDS=$(STRICT_SEEDS) fresh seeds each (6 s of a processor for a seed of all)'
	@echo 'make simulate-scale  clusters of 100, 1000 and 10000 nodes in one table (three quarters of an hour, 2.5 GB)'
	@echo 'make install    install into $$DESTDIR$$PREFIX ($(DESTDIR)$(PREFIX))'

deps:
	@.ci/install-dependencies

demo: deps release
	@Packaging/demo/demo.sh .build/release

# One test at a time: the simulations keep every thread busy, and tests on real sockets have deadlines.
test: deps build lint
	@.ci/test $(SWIFT_FLAGS) --skip-build --no-parallel

build:
	swift build --build-tests $(SWIFT_FLAGS)

release:
	swift build $(RELEASE_FLAGS) --product gossipd
	swift build $(RELEASE_FLAGS) --product gossipctl
	swift build $(RELEASE_FLAGS) --product gossipd-render
	swift build $(RELEASE_FLAGS) --product gossipd-apply
	swift build $(RELEASE_FLAGS) --product gossipsim

deps-deb: deps
	@.ci/install-dependencies debhelper lintian

deb: deps-deb
	@Packaging/build-deb

# No error, no warning; there are no overrides. Hardening is told below a warning.
lint-deb: deb
	lintian --fail-on error,warning --tag-display-limit 0 .build/deb/gossipd_*_*.deb
	lintian --fail-on error,warning,info --display-info --tags hardening-no-bindnow,hardening-no-relro,hardening-no-pie \
	  .build/deb/gossipd_*_*.deb

# Real systemd in containers. SYSTEMD_ROOT is a Debian root folder that is made once and kept.
SYSTEMD_ROOT ?= .build/systemd-root
test-systemd:
	@if [ "$$(id -u)" -ne 0 ]; then echo 'skipped: containers need root'; else \
	  .ci/install-dependencies debhelper systemd-container debootstrap iproute2 && \
	  python3 -B Tests/SystemTests/run.py --root $(SYSTEMD_ROOT) $(ONLY); fi

# Faults of the network on real daemons. ONLY="--only NAME,NAME" runs some, ONLY=--unkeyed runs them without sealing.
test-network: release
	@if [ "$$(id -u)" -ne 0 ]; then echo 'skipped: network namespaces need root'; else \
	  .ci/install-dependencies iproute2 nftables && \
	  python3 -B Tests/NetworkTests/run.py .build/release $(ONLY); fi

# Histories of real clients under faults of processes, network and disk, judged by `gossipsim judge`.
STRICT_SECONDS ?= 600
test-strict: release
	@if [ "$$(id -u)" -ne 0 ]; then echo 'skipped: network namespaces need root'; else \
	  .ci/install-dependencies iproute2 nftables && \
	  python3 -B Tests/NetworkTests/run.py .build/release --strict --seconds $(STRICT_SECONDS) \
	    --limit $$((3 * $(STRICT_SECONDS) + 900)) $(ONLY); fi

# What it finds is kept in Tests/FuzzTests/Inputs, which `make test` replays. FUZZ="--only http,packet" runs some targets.
fuzz: deps
	GOSSIPD_FUZZ=1 swift build -c release --sanitize fuzzer --product gossipfuzz --scratch-path .build/fuzz
	python3 -B Tests/Fuzz/fuzz.py .build/fuzz/release/gossipfuzz --seconds $(FUZZ_SECONDS) --work .build/fuzz-work $(FUZZ)

lint:
	@.ci/lint $(SOURCES)

format:
	swift format format --in-place --recursive --parallel --configuration .swift-format $(SOURCES)

bench: deps release
	swift build $(RELEASE_FLAGS) --product gossipbench
	.build/release/gossipbench
	Tests/Benchmarks/daemons.sh .build/release
	python3 -B Tests/Benchmarks/daemons/store.py .build/release

# Beside Serf in one run, both encrypting. PARTS="--parts kill,vanish" measures some, PARTS="--agents gossipd-plain,serf-plain"
# both without a key; --help of the program tells more.
bench-membership: deps release
	@.ci/install-dependencies iproute2 nftables serf
	python3 -B Tests/NetworkTests/bench.py .build/release $(PARTS)

# Three gossipd beside three etcd on one disk, in one run. STRICT="--parts failover" measures some.
bench-strict: deps release
	@.ci/install-dependencies etcd-server
	swift build $(RELEASE_FLAGS) --product gossipbench
	python3 -B Tests/Benchmarks/daemons/strict_bench.py .build/release $(STRICT)

simulate: deps
	swift build -c release $(SWIFT_FLAGS) --product gossipsim
	.build/release/gossipsim sweep --seeds $(SEEDS)

# Elections, logs, states, locks and leases are checked at each step, and what clients saw at the end.
STRICT_SEEDS ?= 200
STRICT_SCENARIOS = strict strict-bunches strict-crashes strict-partitions strict-clocks strict-members strict-disks strict-recovery strict-meeting
sim-strict: deps
	swift build -c release $(SWIFT_FLAGS) --product gossipsim
	@begin=$$(date +%s); .build/release/gossipsim sweep --seeds $(STRICT_SEEDS) $(STRICT_SCENARIOS:%=--scenario %); status=$$?; \
	  echo "took $$(($$(date +%s) - begin)) s"; exit $$status

simulate-scale: deps
	swift build -c release $(SWIFT_FLAGS) --product gossipsim
	.build/release/gossipsim scale $(SCALE)

install: release
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/systemd/catalog
	install -d $(DESTDIR)$(PREFIX)/share/doc/gossipd $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -d $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 0644 Packaging/man/gossipctl.1 Packaging/man/gossipsim.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 0644 Packaging/man/gossipd.toml.5 Packaging/man/gossipd-render.d.5 \
	  Packaging/man/gossipd-handlers.d.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 0644 Packaging/man/gossipd.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 0755 .build/release/gossipd .build/release/gossipctl .build/release/gossipsim $(DESTDIR)$(PREFIX)/bin/
	install -m 0755 .build/release/gossipd-render .build/release/gossipd-apply $(DESTDIR)$(PREFIX)/bin/
	Packaging/man/generate .build/release/gossipctl $(DESTDIR)$(PREFIX)/share/man/man1
	Packaging/man/generate .build/release/gossipsim $(DESTDIR)$(PREFIX)/share/man/man1
	for unit in gossipd.service gossipd@.service gossipd-apply.service; do \
	  sed -e 's|/usr/lib/gossipd/|$(PREFIX)/bin/|' -e 's|/usr/bin/gossipd|$(PREFIX)/bin/gossipd|' Packaging/$$unit \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	install -m 0644 Packaging/gossipd.socket Packaging/gossipd@.socket Packaging/gossipd-retry@.service \
	  Packaging/gossipd-apply.socket Packaging/gossipd@apply.service \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system/
	install -m 0644 Packaging/gossipd.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/gossipd.conf
	install -m 0644 Packaging/gossipd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/gossipd.conf
	install -m 0644 Packaging/gossipd.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/gossipd.catalog
	install -m 0644 Config/gossipd.toml README.md CHANGELOG.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/gossipd/
	install -d $(DESTDIR)$(PREFIX)/share/doc/gossipd/examples
	install -m 0644 Config/render.d/*.example Config/handlers.d/*.example Config/templates/*.mustache \
	  $(DESTDIR)$(PREFIX)/share/doc/gossipd/examples/
	.build/release/gossipctl --generate-completion-script bash \
	  > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gossipctl
	.build/release/gossipctl --generate-completion-script zsh \
	  > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gossipctl
	.build/release/gossipctl --generate-completion-script fish \
	  > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gossipctl.fish

clean:
	rm -rf .build
