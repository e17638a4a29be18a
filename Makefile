# Proofcall: `make run` starts it, `make test` proves it. Both set up what they need.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WEB_READY := web/node_modules/.ready

BROWSER_TESTS := tests/end_to_end tests/interop

# The way of a packet, compiled by mypyc: a quarter less CPU a packet. It lies in a folder of its own, so that what
# somebody edits is what they run wherever nobody asked for speed; without a C compiler everything runs as it is
# written.
COMPILED := build/compiled
PACKET_PATH := acknowledged_rate alarms allocation allowance bandwidth_estimator binding call delay_detector depacketizer \
  downlink encoding_plan forwarder gathering ice inherent_loss intake journal keyframes lasting_order layer_filter \
  loss_bound nack pacer packet_history peer picture_buffer probing reception red router rtcp rtp rtpdump rtx srtp \
  steady_rate stun track transport uplink_feedback vp8_descriptor
COMPILED_READY := $(COMPILED)/.ready
run test test-long bench: export PYTHONPATH := $(CURDIR)/$(COMPILED)

.PHONY: run test test-long check check-python check-web bench locks clean

run: $(READY) $(COMPILED_READY)
	$(BIN)/proofcall serve --sample $(if $(PHONE),--phone)

# Most tests wait for disks and clocks: four at a time. Browsers with cameras are one at a time, with others beside; what
# judges a network by how late packets come has the machine for itself.
# A machine of two cores has ten minutes for a change: what proves the same at more length is `make test-long`.
test: check
	$(BIN)/pytest -m "not long" -n 4 --dist worksteal $(BROWSER_TESTS:%=--ignore=%)
	$(BIN)/pytest -m "not long and not alone" -n 3 --dist loadgroup $(BROWSER_TESTS)
	$(BIN)/pytest -m "alone and not long" $(BROWSER_TESTS)

test-long: $(READY) $(COMPILED_READY) | debian
	$(BIN)/pytest -m long -n 2

# Everything that needs no running service, both languages at once.
check: $(READY) $(WEB_READY) | debian
	$(MAKE) --no-print-directory --jobs=2 $(COMPILED_READY) check-python check-web

check-python: # format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check-web: # format, types, tests
	cd web && npm run --silent check

bench: $(READY) $(COMPILED_READY) | debian
	$(BIN)/python -m tests.bench

$(READY): requirements-dev.lock tests/oracles.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python --require-hashes -r tests/oracles.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(COMPILED_READY): $(wildcard media/*.py) | $(READY)
	rm -rf $(COMPILED) && mkdir -p $(COMPILED) && cp -r media pyproject.toml $(COMPILED)
	cd $(COMPILED) && MYPYC_OPT_LEVEL=3 MYPYC_DEBUG_LEVEL=0 \
	  CFLAGS="-fno-semantic-interposition -fvisibility=hidden" $(CURDIR)/$(BIN)/mypyc $(PACKET_PATH:%=media/%.py) \
	  >mypyc.log 2>&1 || { rm -rf media; \
	  echo "The way of a packet runs as it is written, at a quarter more CPU: see $(COMPILED)/mypyc.log (Debian: gcc)"; }
	rm -rf $(COMPILED)/build
	touch $@

$(WEB_READY): web/package-lock.json
	cd web && npm ci --silent --no-audit --no-fund
	touch $@

# Browser tests drive Debian's own browsers, with Debian's fonts for Chinese, and its coturn; strace lets system
# calls fail, ffprobe judges playback. Vouchers want a font that PDF can embed (fonts-wqy-microhei), and poppler
# reads what became of them. Debian starts the service of a package as it installs it, and at every boot:
# policy-rc.d, for as long as that takes, says no.
DEBIAN := chromium firefox-esr fonts-noto-cjk fonts-wqy-microhei coturn strace ffmpeg poppler-utils
POLICY := /usr/sbin/policy-rc.d

.PHONY: debian
debian:
	@command -v chromium >/dev/null && command -v firefox-esr >/dev/null && fc-list | grep -q CJK \
	  && command -v turnserver >/dev/null && command -v strace >/dev/null && command -v ffprobe >/dev/null \
	  && command -v pdftotext >/dev/null && fc-list | grep -q wqy || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    command -v turnserver >/dev/null || new=1; \
	    if [ ! -e $(POLICY) ]; then trap 'rm -f $(POLICY)' EXIT; \
	      printf '#!/bin/sh\nexit 101\n' >$(POLICY) && chmod +x $(POLICY); fi; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(DEBIAN) >/dev/null; \
	    if [ -n "$$new" ] && command -v systemctl >/dev/null; then systemctl disable -q coturn || true; fi; \
	  else echo "Tests that need $(DEBIAN) are skipped where these are missing (Debian: apt-get install)"; fi; }

locks:
	uv pip compile -q pyproject.toml --generate-hashes --no-header --python-version 3.11 -o requirements.lock
	uv pip compile -q pyproject.toml --extra dev --generate-hashes --no-header -c requirements.lock --python-version 3.11 -o requirements-dev.lock

clean:
	rm -rf $(VENV) web/node_modules build
