# tako. `make help` lists the targets; README.md explains them.

BUILD   ?= build
CC      ?= gcc
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

# What is linked into what. Every .c file of a folder belongs to its program's library; main.c is the program.
COMMON_SRC  := $(wildcard common/*.c common/accounts/*.c)
TAKOCTL_SRC := $(wildcard common/takoctl/*.c)
API_SRC     := $(wildcard fcgi-api/*.c fcgi-api/resources/*.c)
BROKER_SRC  := $(wildcard broker/*.c broker/*/*.c)
UNIT_SRC    := $(wildcard tests/unit/*/test_*.c)
UNIT_HELPERS := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/broker/*.c))
ALL_SRC     := $(COMMON_SRC) $(TAKOCTL_SRC) $(API_SRC) $(BROKER_SRC)
ALL_C       := $(ALL_SRC) $(wildcard */*.h */*/*.h tests/*/*.c tests/*/*/*.c tests/*/*.h)

COMMON_PKGS := libcrypto libpq json-c hiredis
BROKER_PKGS := libwebsockets libuv
# libunistring and libfcgi ship no pkg-config file; libcmocka is for the tests.
COMMON_LIBS  = $(shell pkg-config --libs $(COMMON_PKGS)) -lunistring
API_LIBS     = -lfcgi
BROKER_LIBS  = $(shell pkg-config --libs $(BROKER_PKGS))
# -isystem: the libraries' headers are not ours to warn about.
PKG_CFLAGS  := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(COMMON_PKGS) $(BROKER_PKGS) 2>/dev/null))

WARNINGS  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
             -Wwrite-strings -Wundef -Wformat=2 -Wno-unused-parameter
HARDENING := -fstack-protector-strong -fPIE -fno-strict-aliasing
OPTIMIZE  ?= -O2 -g -D_FORTIFY_SOURCE=2
WERROR    ?=
ifeq ($(SAN),1)
  override BUILD := $(BUILD)-asan
  OPTIMIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
  SAN_LINK := -fsanitize=address,undefined
endif
CFLAGS_ALL  = -std=gnu17 -D_GNU_SOURCE -DTAKO_VERSION='"$(VERSION)"' -DTAKO_PREFIX='"$(PREFIX)"' -I. $(PKG_CFLAGS) \
              $(WARNINGS) $(WERROR) $(HARDENING) $(OPTIMIZE) $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN_LINK) $(LDFLAGS)

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

COMMON_LIB  := $(BUILD)/lib/libtako-common.a
TAKOCTL_LIB := $(BUILD)/lib/libtakoctl.a
API_LIB     := $(BUILD)/lib/libtako-api.a
BROKER_LIB  := $(BUILD)/lib/libtako-broker.a
UNIT_BIN    := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
PROGRAMS    := $(BUILD)/bin/tako-api $(BUILD)/bin/tako-broker $(BUILD)/bin/takoctl

# Files that the assembler puts into the program.
$(BUILD)/obj/fcgi-api/description.o: $(wildcard fcgi-api/description/*.json)

# As many jobs as there are cores, unless make was already told how many.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

.DEFAULT_GOAL := all
.PHONY: all help build run test unit unit-programs asan check format env-example clean install fresh
all: build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(PROGRAMS) ## build/bin/tako-api, tako-broker and takoctl

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(COMMON_LIB): $(call objs,$(COMMON_SRC))
$(TAKOCTL_LIB): $(call objs,$(filter-out common/takoctl/takoctl.c,$(TAKOCTL_SRC)))
$(API_LIB): $(call objs,$(filter-out fcgi-api/main.c,$(API_SRC)))
$(BROKER_LIB): $(call objs,$(filter-out broker/main.c,$(BROKER_SRC)))
%.a:
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/bin/tako-api: $(call objs,fcgi-api/main.c) $(API_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(API_LIBS) $(COMMON_LIBS) -o $@

$(BUILD)/bin/tako-broker: $(call objs,broker/main.c) $(BROKER_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(BROKER_LIBS) $(COMMON_LIBS) -o $@

$(BUILD)/bin/takoctl: $(call objs,common/takoctl/takoctl.c) $(TAKOCTL_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(COMMON_LIBS) -o $@

# A unit test links the library of the folder it is in (tests/unit/broker -> libtako-broker.a).
$(BUILD)/tests/common/%: $(BUILD)/obj/tests/unit/common/%.o $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(COMMON_LIBS) -lcmocka -o $@
$(BUILD)/tests/takoctl/%: $(BUILD)/obj/tests/unit/takoctl/%.o $(TAKOCTL_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(COMMON_LIBS) -lcmocka -o $@
$(BUILD)/tests/fcgi-api/%: $(BUILD)/obj/tests/unit/fcgi-api/%.o $(API_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(API_LIBS) $(COMMON_LIBS) -lcmocka -o $@
$(BUILD)/tests/broker/%: $(BUILD)/obj/tests/unit/broker/%.o $(call objs,$(UNIT_HELPERS)) $(BROKER_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(BROKER_LIBS) $(COMMON_LIBS) -lcmocka -o $@

# The channel that broker/channels/README.md shows is built from its text.
$(BUILD)/tests/broker/test_example_channel: $(BUILD)/gen/example_channel.o
$(BUILD)/gen/example_channel.c: broker/channels/README.md
	@mkdir -p $(@D)
	awk '/^```c$$/ {on = 1; next} /^```$$/ {on = 0} on' $< >$@
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c Makefile
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# A broker with a channel that fails, for the tests.
TEST_BROKER := $(BUILD)/tests/crash_broker
$(TEST_BROKER): $(call objs,broker/main.c tests/support/crash_broker.c) $(BROKER_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(BROKER_LIBS) $(COMMON_LIBS) -o $@

.SECONDARY:

unit-programs: $(UNIT_BIN) $(TEST_BROKER)

unit: $(UNIT_BIN) ## build and run the unit tests only
	@for t in $(UNIT_BIN); do $$t || exit 1; done

# Packages come first, in a make of their own: this one was read before pkg-config was there.
run: ## everything on http://localhost:4000 (PORT, DIR, BROKERS, WORKERS: see deploy/stack --help)
	@deploy/install-packages run
	@echo "tako: building"
	@$(MAKE) --silent $(JOBS) build
	@TAKO_BIN=$${TAKO_BIN:-$(abspath $(BUILD)/bin)} exec deploy/stack

test: ## all tests; ends with "N passed, N failed" (ONLY=name selects, V=1 shows all)
	@deploy/install-packages test
	@echo "tako: building"
	@$(MAKE) --silent $(JOBS) build unit-programs $(GUARD_PROGRAM) $(TEST_FUZZ)
	@TAKO_BIN=$${TAKO_BIN:-$(abspath $(BUILD)/bin)} BENCH_BIN=$(abspath $(BUILD)/bench) \
		exec tests/run $(UNIT_BIN) $(GUARD) $(if $(TEST_FUZZ),$(FUZZ_BIN))

# The programs write their reports to files, because what a test starts is gone before one can look.
REPORTS = $(abspath $(BUILD)-asan)/report
asan: ## all tests with AddressSanitizer and UndefinedBehaviorSanitizer
	@rm -f $(REPORTS).*
	@ASAN_OPTIONS=log_path=$(REPORTS) UBSAN_OPTIONS=log_path=$(REPORTS):print_stacktrace=1 \
		LSAN_OPTIONS=suppressions=$(abspath tests/lsan.supp):print_suppressions=0 \
		$(MAKE) --no-print-directory SAN=1 test; status=$$?; \
	if ls $(REPORTS).* >/dev/null 2>&1; then cat $(REPORTS).*; exit 1; fi; exit $$status

CLANG_FORMAT ?= clang-format
TIDY_FLAGS    = -std=gnu17 -D_GNU_SOURCE -DTAKO_VERSION='"$(VERSION)"' -DTAKO_PREFIX='"$(PREFIX)"' -I. $(PKG_CFLAGS)
SCRIPTS      := deploy/stack deploy/install-packages deploy/env-example deploy/fresh deploy/lib/fresh-guest tests/run tests/bench/guard .ci/run
CHECKS       := check-format check-scripts check-gcc check-clang check-tidy check-cppcheck check-env
.PHONY: $(CHECKS)

check: ## layout, both compilers without a warning, clang-tidy, cppcheck, shellcheck
	@deploy/install-packages check
	@$(MAKE) --silent $(JOBS) --keep-going --output-sync=target $(CHECKS)
	@echo "check: all good"

check-format:
	@$(CLANG_FORMAT) --dry-run -Werror $(ALL_C)
check-scripts:
	@shellcheck -x $(SCRIPTS) deploy/lib/*.sh
check-gcc:
	@$(MAKE) --silent BUILD=$(BUILD)-gcc CC=gcc WERROR=-Werror build unit-programs
check-clang:
	@$(MAKE) --silent BUILD=$(BUILD)-clang CC=clang WERROR=-Werror build unit-programs
check-tidy: $(ALL_SRC:%=$(BUILD)/tidy/%)
$(BUILD)/tidy/%.c: %.c .clang-tidy $(filter %.h,$(ALL_C))
	@clang-tidy --quiet $< -- $(TIDY_FLAGS) 2>/dev/null
	@mkdir -p $(@D) && touch $@
check-cppcheck:
	@mkdir -p $(BUILD)/cppcheck
	@cppcheck -q -j $(shell nproc) --cppcheck-build-dir=$(BUILD)/cppcheck --error-exitcode=1 --inline-suppr \
		--suppressions-list=.cppcheck-suppressions \
		--enable=warning,performance,portability --std=c11 --library=posix -D_GNU_SOURCE \
		-DTAKO_VERSION='"$(VERSION)"' -DTAKO_PREFIX='"$(PREFIX)"' -I. common broker fcgi-api
check-env: $(PROGRAMS)
	@deploy/env-example $(BUILD)/bin | diff -u deploy/tako.env.example - || \
		{ echo "deploy/tako.env.example is out of date: make env-example"; exit 1; }

format: ## lay the C code out (clang-format)
	@$(CLANG_FORMAT) -i $(ALL_C)

env-example: build ## write deploy/tako.env.example from the programs' settings
	deploy/env-example $(BUILD)/bin >deploy/tako.env.example.new
	mv deploy/tako.env.example.new deploy/tako.env.example

# The prefix is compiled in, so another one means compiling this file again.
$(BUILD)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' >$@
$(BUILD)/obj/common/tk_install.o: $(BUILD)/prefix
.PHONY: FORCE

# Texts that name the places of an installation name those below /usr/local.
SHARE   := $(DESTDIR)$(PREFIX)/share/tako
UNITS   := $(DESTDIR)$(PREFIX)/lib/systemd/system
SAMPLES := deploy/tako.env.example $(wildcard deploy/*.conf)
install: build ## programs, SQL, word list, samples and systemd units (PREFIX, DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/sql/migrations $(SHARE)/errors $(SHARE)/examples $(UNITS)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 sql/migrations/*.sql $(SHARE)/sql/migrations
	install -m 644 deploy/errors/*.html $(SHARE)/errors
	install -m 644 common/accounts/profanity.txt $(SHARE)
	install -m 755 deploy/tako-api.cgi $(SHARE)
	install -m 644 $(SAMPLES) $(SHARE)/examples
	install -m 644 $(wildcard deploy/*.service deploy/*.socket) $(UNITS)
	sed -i 's|/usr/local/|$(PREFIX)/|g' $(SHARE)/tako-api.cgi $(SHARE)/examples/* $(UNITS)/tako-*

fresh: ## make run and make test in a new, empty Debian 12 (needs root; FRESH_DIR)
	@exec deploy/fresh

clean: ## remove what the build made (var/ with its data stays)
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-gcc $(BUILD)-clang

-include $(shell find $(BUILD)/obj $(BUILD)/gen -name '*.d' 2>/dev/null)

# Benchmarks: tests/bench/README.md says what each figure means. One scenario is one file there.
BENCH_SRC       := $(wildcard tests/bench/*.c)
BENCH_PROGRAMS  := $(addprefix $(BUILD)/bench/,loadgen floor httpgen fcgi_floor)
BENCH_OTHERS    := $(addprefix tests/bench/,floor.c httpgen.c fcgi_floor.c guard.c)
BENCH_ALL       := $(basename $(notdir $(wildcard tests/bench/scenarios/*.mjs)))
BENCH_OPT_IN    := 200k# too large for every machine: only when asked for by name
BENCH_SCENARIOS := $(filter-out $(BENCH_OPT_IN),$(BENCH_ALL))
BENCH_TARGETS   := $(addprefix bench-,$(BENCH_ALL))
bench $(BENCH_OPT_IN:%=bench-%): export BENCH_RESULTS ?= tests/bench/RESULTS.md
RUN_BENCH        = BENCH_BIN=$(abspath $(BUILD)/bench) TAKO_BIN=$${TAKO_BIN:-$(abspath $(BUILD)/bin)} tests/bench/run.mjs
.PHONY: bench bench-programs check-bench $(BENCH_TARGETS)

$(BUILD)/bench/loadgen: $(call objs,$(filter-out $(BENCH_OTHERS),$(BENCH_SRC))) $(COMMON_LIB)
$(BUILD)/bench/floor: $(call objs,tests/bench/floor.c tests/bench/ws.c) $(COMMON_LIB)
$(BUILD)/bench/httpgen: $(call objs,tests/bench/httpgen.c tests/bench/histogram.c) $(COMMON_LIB)
$(BUILD)/bench/fcgi_floor: $(call objs,tests/bench/fcgi_floor.c) $(COMMON_LIB)
$(BENCH_PROGRAMS):
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(COMMON_LIBS) -o $@
bench-programs: $(BENCH_PROGRAMS)

bench: ## all benchmarks into tests/bench/RESULTS.md; make bench-NAME runs one of its scenarios/
	@deploy/install-packages test
	@$(MAKE) --no-print-directory $(JOBS) build bench-programs
	@$(RUN_BENCH) $(BENCH_SCENARIOS)
$(BENCH_TARGETS): bench-%:
	@deploy/install-packages test
	@$(MAKE) --no-print-directory $(JOBS) build bench-programs
	@$(RUN_BENCH) $*

CHECKS += check-bench
check-bench:
	@$(MAKE) --silent BUILD=$(BUILD)-gcc CC=gcc WERROR=-Werror bench-programs $(BUILD)-gcc/bench/guard
	@$(MAKE) --silent BUILD=$(BUILD)-clang CC=clang WERROR=-Werror bench-programs $(BUILD)-clang/bench/guard

# Counts instructions, which sanitizers would multiply.
GUARD         := $(if $(SAN_LINK),,tests/bench/guard)
GUARD_PROGRAM := $(GUARD:tests/%=$(BUILD)/%)
.PHONY: guard
$(BUILD)/bench/guard: $(call objs,tests/bench/guard.c tests/unit/broker/fake_client.c) $(BROKER_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $^ $(BROKER_LIBS) $(COMMON_LIBS) -lcmocka -o $@
guard: ## what decoding, joining, a delivery cost in instructions, against tests/bench/guard.budgets
	@deploy/install-packages test
	@$(MAKE) --silent $(JOBS) $(GUARD_PROGRAM)
	@BENCH_BIN=$(abspath $(BUILD)/bench) tests/bench/guard

# Fuzzing: tests/fuzz/FOLDER/fuzz_NAME.c links the library of its folder, as unit tests do, and starts from the
# seeds in tests/fuzz/corpus/NAME. What it learns, and the input of a crash, stay in build-fuzz. `make test` runs
# each for a moment, always with the same inputs.
FUZZ_SECONDS ?= 60
FUZZ_NAMES   := $(patsubst fuzz_%.c,%,$(notdir $(wildcard tests/fuzz/*/fuzz_*.c)))
FUZZ_DIR     := $(BUILD)-fuzz
FUZZ_FLAGS   := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FUZZ_LINK     = $(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer,address,undefined $^
FUZZ_BIN     := $(FUZZ_NAMES:%=$(FUZZ_DIR)/fuzz/%)
TEST_FUZZ    := $(if $(SAN),,build-fuzz)# their sanitizers are their own
.PHONY: fuzz build-fuzz fuzz-programs

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/common/fuzz_%.o $(COMMON_LIB)
	@mkdir -p $(@D)
	$(FUZZ_LINK) $(COMMON_LIBS) -o $@
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/fcgi-api/fuzz_%.o $(API_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(FUZZ_LINK) $(API_LIBS) $(COMMON_LIBS) -o $@
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/broker/fuzz_%.o $(BROKER_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(FUZZ_LINK) $(BROKER_LIBS) $(COMMON_LIBS) -o $@
fuzz-programs: $(FUZZ_NAMES:%=$(BUILD)/fuzz/%)

build-fuzz:
	@$(MAKE) --silent $(JOBS) BUILD=$(FUZZ_DIR) CC=clang OPTIMIZE='$(FUZZ_FLAGS)' fuzz-programs

fuzz: build-fuzz ## the parsers of what peers send, each for FUZZ_SECONDS (60) with clang's libFuzzer
	@for name in $(FUZZ_NAMES); do \
		mkdir -p $(FUZZ_DIR)/corpus/$$name; echo "fuzz $$name"; \
		$(FUZZ_DIR)/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=10 -rss_limit_mb=1024 \
			-verbosity=0 -print_final_stats=1 -artifact_prefix=$(FUZZ_DIR)/$$name- \
			$(FUZZ_DIR)/corpus/$$name tests/fuzz/corpus/$$name || exit 1; \
	done
