# make demo   the whole flow on real keys and backups
# make check  every test
# make bench  how fast, as ratios measured in one run
# make fuzz   the fuzz targets, FUZZ_SECONDS each
# make demo-gui   the panel in a browser, on a page that is like Proxmox VE's
# make check-web  every flow there, in Chromium
# make deb    packages for this release of Debian; make deb-trixie for Debian 13; make check-deb tests both

CARGO ?= cargo
CARGO_FLAGS ?= --locked
FUZZ_SECONDS ?= 600
PACKAGE := target/package
VENDOR := $(PACKAGE)/vendor.tar.xz
PERL_MODULES := $(shell find perl tests/pve -name '*.pm') $(wildcard perl/bin/*)
PERL_FILES := $(PERL_MODULES) $(shell find tests/lib -name '*.pm') $(shell find tests/perl -name '*.t') \
    tests/demo.pl tests/schema.pl docs/api.pl debian/copyright-of-crates $(wildcard tests/package/*.t) tests/bench tests/bench-pve \
    tests/web/serve

# what others build upon comes first, what goes into Proxmox VE's own classes last
WWW := $(addprefix www/, Styles.js Utils.js Words.js CodeFields.js Wizard.js Sheet.js CreateWindow.js VerifyWindow.js \
    RecoverWindow.js BootstrapWindow.js ProveWindow.js MasterKeyWindow.js RecordsWindow.js Coverage.js StoragePanel.js \
    ListPanel.js StorageList.js KeyList.js \
    NodeList.js EvidenceList.js SettingsPanel.js DatacenterPanel.js Hooks.js)
WORDS := rust/escrow/data/eff_large_wordlist.txt

.PHONY: all
all: build

.PHONY: setup
setup:
	tests/setup

.PHONY: build
build: setup
	$(CARGO) build $(CARGO_FLAGS)

# the panel is one file, with the words that fields are completed from
.PHONY: www
www: target/www/pve-escrow.js

target/www/pve-escrow.js: $(WWW) $(WORDS) Makefile
	mkdir -p target/www
	{ echo '/* Words: EFF large word list, Electronic Frontier Foundation, CC-BY 3.0 US, https://www.eff.org/dice */' && \
	awk '{ words = words (NR > 1 ? " " : "") $$2 } END { print "window.pveEscrowWords = \"" words "\";" }' $(WORDS) && \
	cat $(WWW); } >$@.tmp
	mv $@.tmp $@

.PHONY: web-setup
web-setup: setup www
	tests/web/setup

.PHONY: demo-gui
demo-gui: build web-setup
	tests/web/demo

.PHONY: demo
demo: build
	tests/demo

.PHONY: check
check: lint check-rust check-perl check-demo

.PHONY: check-rust
check-rust: setup
	$(CARGO) test $(CARGO_FLAGS) --workspace

.PHONY: check-perl
check-perl: build-all
	prove -T -r tests/perl rust/compat

.PHONY: check-demo
check-demo: build-all
	tests/demo >/dev/null

.PHONY: check-web
check-web: build web-setup
	tests/web/check

# with the tests: alone, dependencies would have fewer features and be built once more
.PHONY: build-all
build-all: setup
	$(CARGO) build $(CARGO_FLAGS) --workspace --all-targets

# after the build: compiling Perl programs loads the library
.PHONY: lint
lint: build-all
	$(CARGO) fmt --all --check
	@if $(CARGO) clippy --version >/dev/null 2>&1; \
	then $(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings; \
	else echo "skipped: clippy is not packaged for this release of Debian"; fi
	@! grep -rnE 'perlmod|PVE::|/etc/pve' rust/escrow/src || \
	{ echo "rust/escrow knows neither Perl nor where Proxmox VE keeps its files" >&2; exit 1; }
	for file in $(PERL_MODULES); do perl -Iperl -Itests/pve -T -c $$file || exit 1; done
	podchecker --warnings $(shell grep -l '^=head1' $(PERL_MODULES)) rust/rescue/*.pod
	perlcritic --quiet --profile .perlcriticrc $(PERL_FILES)

# What the library says of its operations, for what must not load it.
.PHONY: schema
schema: build-all
	tests/schema.pl >perl/PVE/Escrow/schema.json

# perltidy's layout differs from version to version: Debian 13's is the one that counts.
.PHONY: tidy
tidy:
	perltidy --profile=.perltidyrc -b -bext=/ $(PERL_FILES)
	$(CARGO) fmt --all

.PHONY: docs
docs:
	docs/api.pl >docs/api.md

# Licences, bans and sources, without a network. cargo-deny 0.18 is the last that builds with Rust 1.85.
.PHONY: deny
deny: setup
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked --version 0.18.3 cargo-deny
	$(CARGO) fetch $(CARGO_FLAGS)
	$(CARGO) deny --offline check licenses bans sources

.PHONY: bench
bench: setup
	$(CARGO) build --release $(CARGO_FLAGS)
	$(CARGO) build --release $(CARGO_FLAGS) -p pve-escrow --examples
	tests/bench
	tests/bench-pve
	$(MAKE) web-setup
	node tests/web/bench.mjs

.PHONY: fuzz
fuzz: setup
	rust/escrow/fuzz/run $(FUZZ_SECONDS)

# All crates that the packages are built from, for machines without a network.
.PHONY: vendor
vendor: $(VENDOR)

$(VENDOR): Cargo.toml Cargo.lock $(wildcard rust/*/Cargo.toml) debian/vendor
	tests/setup
	debian/vendor $@

# Without Proxmox' perlmod and proxmox-schema these are packages for trying out: they say so, and doctor does.
.PHONY: deb
deb: $(VENDOR)
	tests/package/setup
	debian/build $(VENDOR) $(PACKAGE)/build $(PACKAGE)/$(shell . /etc/os-release && echo $$VERSION_CODENAME)

.PHONY: deb-trixie
deb-trixie: $(VENDOR)
	tests/package/setup
	tests/package/build-in-chroot trixie $(VENDOR) $(PACKAGE)

# After a change of Cargo.lock: whose crates are inside, under which licence.
.PHONY: copyright
copyright: $(VENDOR)
	rm -rf $(PACKAGE)/vendor
	tar -C $(PACKAGE) -xf $(VENDOR)
	debian/copyright-of-crates $(PACKAGE)/vendor >$(PACKAGE)/copyright
	mv $(PACKAGE)/copyright debian/copyright

# Two builds, in different places, have to be the same byte for byte.
.PHONY: check-reproducible
check-reproducible: $(VENDOR)
	tests/package/setup
	tests/package/reproducible $(VENDOR) $(PACKAGE)

.PHONY: check-deb
check-deb: deb
	tests/package/check $(VENDOR) $(PACKAGE)

.PHONY: clean
clean:
	$(CARGO) clean
	rm -rf tests/out
