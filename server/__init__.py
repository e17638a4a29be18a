"""The service: settings, HTTP and WebSocket edges, identities, storage, the evidence log.

The one place where `media` and `signaling` meet. The way of a command through it:

    http/socket.py ── parse ──> cases.py ── decide ──> store/log.py (durable) ── evolve ──> every reader
                                   │
                                   └── calls.py: what a joined, a left, a shutter mean for the relay

and of a snapshot: `take_frame` → calls.py asks media/relay.py for the newest picture → store/blobs.py keeps
its bytes → cases.py appends `frame_sealed` → all hear of it at once, when it is on disk.

And how a call is: once a second stays.py reads the relay into each person's stay.py; calls.py tells people,
and gaps become entries.

Imports go one way: main → sample, app → http → calls → stays → cases → store → evidence; settings, errors,
tokens and models are leaves that all may read.
"""
