# make demo [PHOTO=path]   npm only: deblurs a generated sample, or your own picture
# make test                installs libtorch, tools for photos and Chromium by apt where they are missing, builds the addon, runs all tests
# make web                 npm only: builds the page and serves it on this machine
# make bench [BENCH=name]  the benches; their peers need PyTorch and scikit-image (apt)
# make clean               removes what was built
#
# Each does its own set-up on a fresh machine with Node 20.9 or newer, and is quick when that is done already.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := demo
.PHONY: demo test web bench clean install compile build libtorch photo-tools browser peers

# onnxruntime-node would download CUDA libraries at install otherwise; docs/install.md says how to get them.
export ONNXRUNTIME_NODE_INSTALL = skip

LIBTORCH_PACKAGES = libtorch-dev libopenblas0-pthread libgloo-dev g++ make
PHOTO_PACKAGES = libimage-exiftool-perl imagemagick ffmpeg
BROWSER_PACKAGES = chromium
PEER_PACKAGES = python3-torch python3-skimage
BENCH ?= train-step metrics
LOCK = node_modules/.unshake-lock

demo: compile
	@node dist/examples/demo.js $(if $(PHOTO),"$(PHOTO)")

test: libtorch photo-tools browser build
	@node dist/test/run.js

web: install
	@npm run build --workspace @unshake/web --silent --loglevel=error
	@cd web && ../node_modules/.bin/vite preview

bench: libtorch peers build
	@for name in $(BENCH); do node dist/bench/run.js $$name; done

clean:
	rm -rf dist packages/libtorch/dist packages/libtorch/build web/dist demo

# npm ci empties node_modules first, so it runs only when the lock differs from the one that was installed.
install:
	@command -v npm >/dev/null || { echo "unshake needs Node 20.9 or newer with npm: https://nodejs.org" >&2; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); if (a < 20 || (a === 20 && b < 9)) { console.error("unshake needs Node 20.9 or newer, this is " + process.version + ": https://nodejs.org"); process.exit(1); }'
	@cmp -s package-lock.json $(LOCK) || { npm ci --no-audit --no-fund --loglevel=error; cp package-lock.json $(LOCK); }

# Without the addon: it needs a compiler and libtorch, and only training needs it.
compile: install
	@node_modules/.bin/tsc -b

build: install
	@npm run build --silent --loglevel=error

# UNSHAKE_LIBTORCH names a libtorch of one's own: then only the compiler is asked for.
libtorch:
	@$(call apt-install,$(if $(UNSHAKE_LIBTORCH),g++ make,$(LIBTORCH_PACKAGES)),libtorch and a compiler)

# Second opinions on the files we write: their tests are skipped, visibly, where these can't be installed.
photo-tools:
	@command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || command -v sudo >/dev/null; } || exit 0; $(call apt-install,$(PHOTO_PACKAGES),tools for photos)

# Tests of the page run in it; they are skipped, visibly, where there is none. Some distributions' package is only a pointer to another store.
browser:
	@command -v chromium >/dev/null && exit 0; command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || command -v sudo >/dev/null; } || exit 0; \
	( $(call apt-install,$(BROWSER_PACKAGES),a browser) ) || echo "make: Chromium could not be installed; tests of the page are skipped"

peers:
	@$(call apt-install,$(PEER_PACKAGES),the peers of the benches)

# $(call apt-install,PACKAGES,WHAT): installs those that are missing, with sudo where it is needed.
define apt-install
if ! command -v apt-get >/dev/null; then \
  if [ -n "$(UNSHAKE_LIBTORCH)" ] && command -v g++ >/dev/null; then exit 0; fi; \
  echo "make: $(2) are needed ($(1)), and there is no apt-get here: install them yourself and set UNSHAKE_LIBTORCH (docs/install.md)" >&2; exit 1; \
fi; \
missing=; \
for package in $(1); do dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q '^install ok installed' || missing="$$missing $$package"; done; \
if [ -n "$$missing" ]; then \
  as_root=; \
  if [ "$$(id -u)" != 0 ]; then \
    command -v sudo >/dev/null || { echo "make: as root, run: apt-get install$$missing" >&2; exit 1; }; \
    as_root=sudo; \
  fi; \
  echo "installing$$missing"; \
  $$as_root apt-get update -qq; \
  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
fi
endef
