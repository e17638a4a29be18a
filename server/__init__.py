"""The service: settings, HTTP and WebSocket edges, identities, storage, the evidence log.

The one place where `media` and `signaling` meet. The way of a command through it:

    http/socket.py ── parse ──> cases.py ── decide ──> store/log.py (durable) ── evolve ──> every reader
                                   │
                                   └── calls.py: what a joined, a left, a shutter mean for the relay

and of a snapshot: `take_frame` → calls.py asks media/relay.py for the newest picture → store/blobs.py keeps
its bytes → cases.py appends `frame_sealed` → all hear of it at once, when it is on disk.

Of a call: media/relay.py hands over what each person sends, in segments of a few seconds → recordings.py → a
blob each → `segment_sealed`, or `segment_lost` where the disk would not have it; the call never waits. When
somebody asks, recorded.py tells from the entries what there is, and playbacks.py makes a file of it.

Who is shown anything, and who is refused, is an entry first: custody.py. What nobody answers in time becomes
one, too: deadlines.py. Words are found in search.py, whose index is made anew with each start.

Entries leave the house by webhooks.py: the log is the outbox, and each endpoint has a cursor in it.
webhook_delivery.py says what is sent when, webhook_payload.py what it says, webhook_guard.py where it may go.

The log's checkpoints leave it by witnesses.py, and come back cosigned; witnessing.py says when whom is asked
what. Nothing waits for them.

What a customer confirmed leaves as a voucher that proves itself: vouchers.py, on paper by voucher_pdf.py.
A package is told for people by report_story.py and put on paper by report_pdf.py, in a process of its own.

And how a call is: once a second stays.py reads the relay into each person's stay.py; calls.py tells people,
and gaps become entries.

Imports go one way: main → sample, app → http → custody, playbacks, deadlines, search, calls → principals,
recordings, stays → cases → store → evidence; settings, errors, tokens and models are leaves for all to read.
"""
