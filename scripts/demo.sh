#!/usr/bin/env bash
# The first run: fetches the model, builds, and chats. Without a terminal it plays a short conversation and ends.
source "$(dirname "$0")/prepare.sh"

scripts/model.sh >/dev/null
say "building (a few minutes the first time)"
cargo build --release --quiet -p inkling-cli
if [ -t 0 ] && [ -t 1 ]; then
    exec target/release/inkling chat
fi
target/release/inkling chat --temp 0 --max-tokens 100 <<'CONVERSATION'
Hello! Who are you?
Write two sentences about the sea.
And now two about a mountain.
CONVERSATION
