# What people type. Each target does everything it needs, on a machine with git, make and a Rust toolchain.
# `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help demo model test ios android conformance bench bench-neon bench-bindings fuzz chaos lint demo-model

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## chat with SmolLM2-135M-Instruct (fetched on first use); without a terminal, play a short conversation
	@scripts/demo.sh

model: ## fetch SmolLM2-135M-Instruct (98 MB) into the cache folder and check its digests
	@scripts/model.sh

test: ## lint, build and run every test, NEON kernels under qemu included
	@scripts/test.sh

ios: ## the XCFramework for iPhones, the simulator and Macs, in target/apple (on any system; see docs/releasing.md)
	@scripts/ios.sh

android: ## the AAR for arm64-v8a and x86_64, in target/android (without an NDK: for checks, not for release)
	@scripts/android.sh

conformance: ## compare with other implementations' exact results (needs the reference folder)
	@scripts/conformance.sh

bench: ## measure everything beside other engines (fetched and built on first use; half an hour)
	@scripts/bench.sh

bench-neon: ## count the AArch64 instructions of a token under qemu, beside llama.cpp (built on first use; an hour)
	@scripts/bench-neon.sh

bench-bindings: ## measure what reading an answer costs in Kotlin and Swift
	@scripts/bench-bindings.sh

fuzz: ## fuzz the parsers: make fuzz RUNS=10000000
	@scripts/fuzz.sh

chaos: ## kill processes that install models, take the power from simulated disks: make chaos KILLS=2000 LOSSES=10000 SEED=1
	@scripts/chaos.sh

lint: ## formatting, clippy, licences, spelling
	@scripts/lint.sh

demo-model: ## train the tiny model inside the binary again (about an hour; see docs/demo-model.md)
	@scripts/demo-model/train.sh
