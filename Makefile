# kube-nft: build, test, install. `make help` lists the targets.
#
#   V=1         show the commands        CC=clang     another compiler
#   WERROR=1    warnings are errors      BUILD=dir    another build directory
#   T=name      one test only            SANITIZE=... instrumented build

VERSION   := 0.1.0
BUILD     ?= build
PREFIX    ?= /usr/local
SBINDIR   ?= $(PREFIX)/sbin
MANDIR    ?= $(PREFIX)/share/man
DATADIR   ?= $(PREFIX)/share/kube-nft
INSTALL   ?= install
CFLAGS    ?= -O2 -g
FUZZ_SECONDS ?= 60

LIBRARIES := libnftables libnftnl libnetfilter_conntrack libmnl jansson yaml-0.1 libsystemd libcurl \
	libmicrohttpd nettle

# Sources ----------------------------------------------------------------------------------------

SOURCES   := $(sort $(wildcard src/*/*.c))
HEADERS   := $(sort $(wildcard src/*/*.h test/*/*.h))
TEMPLATES := $(sort $(wildcard nft-templates/*.nft))
MAIN      := src/agent/main.c
UNIT      := $(sort $(wildcard test/unit/test-*.c))
SUPPORT   := $(sort $(filter-out $(UNIT),$(wildcard test/unit/*.c)))
FUZZ      := $(sort $(wildcard test/fuzz/fuzz-*.c))
SHIM      := $(sort $(wildcard test/rig/shim/*.c))
BENCH     := test/bench/build.c
SCRIPTS   := $(sort $(shell grep -lsE '^\#!.*[/ ](ba)?sh\b' .ci/run test/run test/*/*))
ALL_C     := $(SOURCES) $(UNIT) $(SUPPORT) $(FUZZ) $(SHIM) $(BENCH)

PROGRAM       := $(BUILD)/kube-nft
ARCHIVE       := $(BUILD)/libkube-nft.a
OBJECTS       := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAIN),$(SOURCES)))
UNIT_PROGRAMS := $(UNIT:%.c=$(BUILD)/%)
FUZZ_PROGRAMS := $(FUZZ:%.c=$(BUILD)/%)
BENCH_PROGRAM := $(BENCH:%.c=$(BUILD)/%)

# Flags ------------------------------------------------------------------------------------------

CLANG  := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
TARGET := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))

WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wundef -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wcast-qual -Wnull-dereference \
	-Wimplicit-fallthrough -Wconversion $(if $(CLANG),,-Wduplicated-cond -Wlogical-op) \
	$(if $(WERROR),-Werror)

CONTROL_FLOW_x86_64  := -fcf-protection=full
CONTROL_FLOW_aarch64 := -mbranch-protection=standard
# Sanitizers bring their own checks; zeroed locals and fortified calls would hide what they look for.
# clang 14 takes -ftrivial-auto-var-init=zero only with a switch that later versions reject.
HARDENING := -fstack-protector-strong -fstack-clash-protection $(CONTROL_FLOW_$(TARGET)) -fPIE \
	$(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 \
	$(if $(CLANG),,-ftrivial-auto-var-init=zero))
INSTRUMENT := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer) $(if $(COVERAGE),--coverage)

# pkg-config is asked when the first object is compiled, so that `help` and `deps` do without it.
pkg_config = $(shell pkg-config $(1))$(if $(filter-out 0,$(.SHELLSTATUS)),$(error libraries are \
	missing: run "make deps"))
once = $(eval $(1) := $$(call pkg_config,$(2)))$($(1))
LIBRARY_CFLAGS = $(call once,LIBRARY_CFLAGS,--cflags $(LIBRARIES))
LIBRARY_LIBS   = $(call once,LIBRARY_LIBS,--libs $(LIBRARIES))

LANGUAGE := -std=gnu17 -D_GNU_SOURCE= -DKUBE_NFT_VERSION='"$(VERSION)"' -Isrc -I.
# -Wa,-I. is for .incbin: templates are embedded by their path from here.
COMPILE = $(CC) $(LANGUAGE) -Wa,-I. $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(HARDENING) $(INSTRUMENT) \
	$(LIBRARY_CFLAGS)
LINK    = $(CC) -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack $(CFLAGS) $(INSTRUMENT) $(LDFLAGS)

# Rules ------------------------------------------------------------------------------------------

quiet = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))
Q     = $(if $(V),,@)
# Sub-makes use every processor unless the caller has said how many jobs to run.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

export BUILD T CASES FUZZ_SECONDS
export KUBE_NFT := $(abspath $(PROGRAM))

.PHONY: all
all: $(PROGRAM) ## Build the agent (default)

$(PROGRAM): $(BUILD)/$(MAIN:.c=.o) $(ARCHIVE)
	$(call quiet,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBRARY_LIBS)

$(ARCHIVE): $(OBJECTS)
	$(call quiet,AR,$@)
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call quiet,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) -MMD -MP -c -o $@ $<

# Objects made by other flags or another compiler are made again.
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(COMPILE))' | cmp -s - $@ || echo '$(subst ','\'',$(COMPILE))' >$@

$(patsubst %.c,$(BUILD)/%.o,$(shell grep -ls '[.]incbin' $(SOURCES) /dev/null)): $(TEMPLATES)

.PHONY: always
always:

comma := ,
# Allocations of our code go through test/unit/fail-alloc.c, which can make any one of them fail.
WRAP := $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc strdup strndup)

$(UNIT_PROGRAMS): %: %.o $(SUPPORT:%.c=$(BUILD)/%.o) $(ARCHIVE)
	$(call quiet,LINK,$@)
	$(Q)$(LINK) $(WRAP) -o $@ $^ $(LIBRARY_LIBS) $(call pkg_config,--libs cmocka)

$(FUZZ_PROGRAMS): %: %.o $(ARCHIVE)
	$(call quiet,LINK,$@)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBRARY_LIBS)

$(BENCH_PROGRAM): %: %.o $(ARCHIVE)
	$(call quiet,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBRARY_LIBS)

.SECONDARY:
-include $(ALL_C:%.c=$(BUILD)/%.d)

# Tests ------------------------------------------------------------------------------------------
# Each runs `deps` first and builds in a sub-make: before that, nothing needs compiler or pkg-config.

SUITES ?= unit golden netns netpol api cluster

.PHONY: test check test-netpol asan fuzz coverage
test: ## Run all tests; T=name runs one file, case or function
	@test/tools/deps build test
	$(Q)$(SUBMAKE) run-tests

check: test

test-netpol: ## Run the NetworkPolicy cases of CASES=file, or all of our own
	@test/tools/deps build test
	$(Q)$(SUBMAKE) SUITES=netpol CASES='$(CASES)' T='$(or $(T),test_cases)' run-tests

asan: ## Run unit and golden tests under ASan, LSan and UBSan
	@test/tools/deps build test
	$(Q)$(SUBMAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined CFLAGS='-O1 -g' \
		SUITES='unit golden' run-tests

fuzz: ## Run each fuzz target for FUZZ_SECONDS (60); T=name runs one
	@test/tools/deps build fuzz
	$(Q)$(SUBMAKE) BUILD=$(BUILD)/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined run-fuzz

coverage: ## Measure what the tests cover, as text and HTML
	@test/tools/deps build test lint
	$(Q)$(SUBMAKE) BUILD=$(BUILD)/coverage COVERAGE=1 CFLAGS='-O0 -g' run-coverage

.PHONY: run-tests run-fuzz run-coverage run-bench run-bench-affinity
run-tests: $(PROGRAM) $(UNIT_PROGRAMS)
	$(Q)test/run $(SUITES)

run-fuzz: $(FUZZ_PROGRAMS)
	$(Q)test/fuzz/run

run-bench: $(PROGRAM) $(BENCH_PROGRAM)
	$(Q)test/bench/run

run-bench-affinity: $(PROGRAM) $(BENCH_PROGRAM)
	$(Q)test/bench/run-affinity

run-coverage: $(PROGRAM) $(UNIT_PROGRAMS)
	$(Q)find $(BUILD) -name '*.gcda' -delete
	$(Q)test/run $(SUITES)
	$(Q)gcovr --root . --filter src/ --print-summary --html-details $(BUILD)/coverage.html \
		$(BUILD)

.PHONY: golden-update
golden-update: ## Write the golden tests' expected output anew; read the diff
	@test/tools/deps build test
	$(Q)$(SUBMAKE) all
	$(Q)UPDATE=1 test/golden/run

.PHONY: bench bench-affinity bench-cluster bench-policies bench-policy-path demo
bench: ## Measure large clusters, beside other layouts; BENCH_QUICK=1
	@test/tools/deps build test
	$(Q)$(SUBMAKE) run-bench

bench-affinity: ## Measure session affinity, beside kube-proxy's layout
	@test/tools/deps build test
	$(Q)$(SUBMAKE) run-bench-affinity

bench-cluster: ## Measure beside kube-proxy, with a real API server; BENCH_QUICK=1
	@test/tools/deps build test
	$(Q)$(SUBMAKE) all
	$(Q)test/bench/run-cluster

bench-policies: ## Measure NetworkPolicies; KUBE_ROUTER=program beside it, BENCH_QUICK=1
	@test/tools/deps build test
	$(Q)$(SUBMAKE) all
	$(Q)test/bench/run-policies

bench-policy-path: ## Measure what NetworkPolicies cost packets; BENCH_QUICK=1
	@test/tools/deps build test bench
	$(Q)$(SUBMAKE) all
	$(Q)test/bench/run-policy-path

demo: ## Show a Service balance connections between network namespaces (root)
	@test/tools/deps build demo
	$(Q)$(SUBMAKE) all
	$(Q)test/demo/run

# Source -----------------------------------------------------------------------------------------

.PHONY: lint lint-format lint-tidy lint-cppcheck lint-shell lint-spell format
lint: ## Check format, clang-tidy, cppcheck, shellcheck, codespell
	@test/tools/deps build test lint
	$(Q)$(SUBMAKE) --output-sync lint-format lint-tidy lint-cppcheck lint-shell lint-spell

lint-format:
	$(call quiet,FORMAT,'$(words $(ALL_C) $(HEADERS)) files')
	$(Q)clang-format --dry-run --Werror $(ALL_C) $(HEADERS)

lint-tidy: $(ALL_C:%=$(BUILD)/tidy/%)

# How many states of a function are analyzed. Few functions have more, but those have very many.
STATES := -Xclang -analyzer-config -Xclang max-nodes=20000

$(BUILD)/tidy/%: % .clang-tidy test/.clang-tidy $(HEADERS)
	$(call quiet,TIDY,$<)
	$(Q)mkdir -p $(@D) && clang-tidy --quiet $< -- $(LANGUAGE) $(LIBRARY_CFLAGS) $(STATES) \
		2>$@.log || { cat $@.log; exit 1; }
	@touch $@

# Suppressed: what cleanup attributes free, symbols of .incbin, enums that index tables.
lint-cppcheck:
	$(call quiet,CPPCHECK,src)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--library=test/tools/cppcheck.cfg --suppress=memleak --suppress=comparePointers \
		--suppress=arrayIndexOutOfBoundsCond --error-exitcode=1 -Isrc $(SOURCES)

lint-shell:
	$(call quiet,SHELL,'$(words $(SCRIPTS)) files')
	$(Q)shellcheck $(SCRIPTS)

lint-spell:
	$(call quiet,SPELL,'all tracked files')
	$(Q)git ls-files -z ':!*/go.sum' | xargs -0 codespell

format: ## Lay out the C sources with clang-format
	@test/tools/deps lint
	$(Q)clang-format -i $(ALL_C) $(HEADERS)

# Installation -----------------------------------------------------------------------------------

.PHONY: install uninstall
install: all ## Install program, man page, templates (PREFIX, DESTDIR)
	$(INSTALL) -D -m 755 $(PROGRAM) $(DESTDIR)$(SBINDIR)/kube-nft
	$(INSTALL) -D -m 644 docs/man/kube-nft.8 $(DESTDIR)$(MANDIR)/man8/kube-nft.8
	$(INSTALL) -D -m 644 -t $(DESTDIR)$(DATADIR)/nft-templates $(TEMPLATES)

uninstall: ## Remove what install put there
	$(RM) $(DESTDIR)$(SBINDIR)/kube-nft $(DESTDIR)$(MANDIR)/man8/kube-nft.8
	$(RM) -r $(DESTDIR)$(DATADIR)

.PHONY: deps clean help
deps: ## Install the packages needed, or say which they are
	@test/tools/deps build demo test lint fuzz

clean: ## Remove everything built
	$(RM) -r $(BUILD)

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 21
	@echo
	@sed -n '3,5s/^# *//p' Makefile
