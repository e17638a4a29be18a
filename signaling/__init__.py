"""The conversation of a case: what may be said, by whom and when, and what is kept of it. Knows no media.

The way of a message, PROTOCOL.md being its contract:

    text ─ messages.py ─ parse ─> command ─ case.py ─ decide ─> entries ─ (durable) ─ evolve ─> state
                                                                   │
    what is missing of a person ─ gaps.py ─> commands              │
    text <─ messages.py ─ encode ─ synchronisation.py <────────────┘  one machine a reader

All of it is pure: the server brings the clock, the log and the socket. Imports go one way: messages →
commands → entries → values; case stands on commands and entries, synchronisation on messages; errors and
ledger are leaves.
"""
