"""The conversation of a case: what may be said, by whom and when, and what is kept of it. Knows no media.

The way of a message, PROTOCOL.md being its contract:

    text ─ messages.py ─ parse ─> command ─ case.py ─ decide ─> entries ─ (durable) ─ evolve ─> state
                                                                   │
    what is missing of a person ─ gaps.py ─> commands              │
    text <─ messages.py ─ encode ─ synchronisation.py <────────────┘  one machine a reader

A subject of the conversation is one module: its entries, its commands, its rules, a state of its own.

    talk.py         texts, phrases, photos, voice notes, places, marks
    exceptions.py   what is wrong with the parcel, as work orders
    delivery.py     notices and answers, changes, the hand-over and its confirmation

`case.py` holds who may do what when, and the calls; `wording.py` what the service says by itself, from files.
A subject more is a module more, a row in `entries.py` for each kind, a row in `case.LEGAL` for each command.

All of it is pure: the server brings the clock, the log, the socket and the files. Imports go one way:
messages → commands → entries → subjects → scene → wording → values; case stands on commands and entries,
synchronisation on messages; errors and ledger are leaves.
"""
