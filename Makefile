# Thin: Meson builds, scripts/ does the rest. Every target installs what it needs first (scripts/deps).
SEEDS ?= 3000
SECONDS ?= 60
SOAK_SECONDS ?= 300
PREFIX ?= /usr/local

.PHONY: all build test demo sim soak mutate fuzz tsan bench lint format sbom reproducible install clean
all: build

build:
	@scripts/deps build
	@test -f build/build.ninja || CC=gcc meson setup build --prefix $(PREFIX)
	@ninja -C build

test:
	@scripts/deps
	@scripts/test

demo: build
	@scripts/deps demo
	@scripts/demo

# make sim SEEDS=100000
sim: build
	@scripts/deps
	@ninja -C build tests/sim/sim
	@build/tests/sim/sim --seeds $(SEEDS)

# make soak SOAK_SECONDS=3600
soak: build
	@scripts/deps
	@scripts/soak --seconds $(SOAK_SECONDS)

mutate:
	@scripts/deps
	@scripts/mutate

# make fuzz SECONDS=600
fuzz:
	@scripts/deps
	@scripts/fuzz $(SECONDS)

tsan: build
	@scripts/deps
	@scripts/tsan

bench: build
	@scripts/deps
	@ninja -C build bench/control bench/claims
	@bench/all

lint: build
	@scripts/deps
	@scripts/lint

format:
	@scripts/deps
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

sbom: build
	@scripts/sbom

reproducible:
	@scripts/deps build
	@scripts/reproducible

install: build
	@meson install -C build

clean:
	@rm -rf build build-asan build-fuzz build-tsan
