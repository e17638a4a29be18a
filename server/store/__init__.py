"""The store: where evidence becomes durable. SQLite for the log, a folder for blobs, a file for the key.

Promise: what `append` or `put` has answered survives `kill -9` and power loss, and what was damaged
since is refused with its name, never served.

The way of an entry: `LogStore.append` (event loop) → bounded queue → `LogWriter` (one thread, one
transaction for all that wait: entries, tree hashes, signed checkpoint) → fsync → the futures resolve.
The way of a tile: `LogStore.tile` picks stored tree hashes, or envelopes; nothing is stored twice.
The way of a blob: temporary file → fsync → rename → fsync of the folder → its SHA-256 is its name.

    errors ◀── schema, keys ◀── recovery, writer ◀── log        blobs
"""
