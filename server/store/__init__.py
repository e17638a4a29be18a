"""The store: where evidence becomes durable. SQLite for the log, a folder for blobs, files for the keys.

Promise: what `append` or `put` has answered survives `kill -9` and power loss, and what was damaged
since is refused with its name, never served.

The way of an entry: `LogStore.append` (event loop) → bounded queue → `LogWriter` (one thread, one
transaction for all that wait: entries, tree hashes, signed checkpoint) → fsync → the futures resolve.
The way of a tile: `LogStore.tile` picks stored tree hashes, or envelopes; nothing is stored twice.
The way of a blob: temporary file → fsync → rename → fsync of the folder → its SHA-256 is its name.

The way out: `webhooks` keeps how far each endpoint was sent the log, and what could not be delivered.
What outsiders say of the log's checkpoints comes back into `attestations`.

Bodies, salts and files are sealed with the key of their case (`sealing`), which itself is wrapped by the
operator's key (`keys`), which like the log's may be replaced (`rotation`). At start the tail of the log is
checked (`recovery`), at any time all (`audit`).

    errors ◀── sealing, schema ◀── keys ◀── case_keys, sealed_file ◀── writer, walk, blobs
                                                                          ▲
                              derived, migration ─────────────────────────┘
                              recovery ──▶ migration, rotation, walk        log, audit ──▶ recovery
    keys, webhooks ◀── rotation
    errors, keys, schema ◀── webhooks ──▶ webhook_rows
                         ◀── side_database ◀── attestations ◀── attestation_audit
"""
