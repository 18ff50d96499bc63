# SPDX-License-Identifier: Apache-2.0
# One command each. `make demo` and `make test` install what is missing first; nothing else needs the network.

PREFIX ?= /usr/local
DESTDIR ?=
SEEDS ?= 5
SWIFT_FLAGS = --explicit-target-dependency-import-check error
RELEASE_FLAGS = -c release --static-swift-stdlib $(SWIFT_FLAGS)
SOURCES = Package.swift Sources Tests

.PHONY: help demo test build release lint format bench simulate install deps clean

help:
	@echo 'make demo       install what is missing, build, and watch a cluster of real daemons at work'
	@echo 'make test       build, lint, run all tests'
	@echo 'make release    build the programs into .build/release'
	@echo 'make lint       check the style of sources, scripts and the API description'
	@echo 'make format     put the sources into that style'
	@echo 'make bench      measure hot paths, daemons beside Serf, the durable store beside etcd'
	@echo 'make simulate   run every scenario over SEEDS=$(SEEDS) fresh seeds'
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
	swift build $(RELEASE_FLAGS) --product gossipsim

lint:
	@.ci/lint $(SOURCES)

format:
	swift format format --in-place --recursive --parallel --configuration .swift-format $(SOURCES)

bench: deps release
	swift build $(RELEASE_FLAGS) --product gossipbench
	.build/release/gossipbench
	Tests/Benchmarks/daemons.sh .build/release
	python3 -B Tests/Benchmarks/daemons/store.py .build/release

simulate: deps
	swift build -c release $(SWIFT_FLAGS) --product gossipsim
	.build/release/gossipsim sweep --seeds $(SEEDS)

install: release
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -d $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/systemd/catalog
	install -d $(DESTDIR)$(PREFIX)/share/doc/gossipd $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -d $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 0644 Packaging/man/gossipctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 0644 Packaging/man/gossipd.toml.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 0644 Packaging/man/gossipd.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 0755 .build/release/gossipd .build/release/gossipctl .build/release/gossipsim $(DESTDIR)$(PREFIX)/bin/
	sed 's|/usr/bin/gossipd|$(PREFIX)/bin/gossipd|' Packaging/gossipd.service \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/gossipd.service
	install -m 0644 Packaging/gossipd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/gossipd.conf
	install -m 0644 Packaging/gossipd.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/gossipd.catalog
	install -m 0644 Config/gossipd.toml README.md CHANGELOG.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/gossipd/
	.build/release/gossipctl --generate-completion-script bash \
	  > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/gossipctl
	.build/release/gossipctl --generate-completion-script zsh \
	  > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_gossipctl
	.build/release/gossipctl --generate-completion-script fish \
	  > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/gossipctl.fish

clean:
	rm -rf .build
