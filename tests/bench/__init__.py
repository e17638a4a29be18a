"""The benchmark: what Proofcall costs and how quick it is, beside its peers, in one run on one machine.

`python -m tests.bench [part …]` (all of them without a name; `--help` lists them) prints one Markdown table
with what DESIGN asks for ("reach") and what this machine gave ("measured"). Who tunes the repair or the rate
looks at a few rows for a short time, about half a minute a row:

    python -m tests.bench loss --rows uplink-30,downlink-10 --window 10 --no-janus
    python -m tests.bench rate --rows down-300,step --window 10

How it is put together, from the bottom to the top:

    media_source      VP8 and Opus, encoded once, that all bots send
    transport_feedback
                      what a bot tells of its arrivals
    bot               one WebRTC connection of a bot: ICE controlling, DTLS-SRTP, RTP out and counted in
    processes         a server as a child process: its CPU time and memory as the operating system counts them
    proofcall_peer, janus_peer, media_relay_peer
                      the three servers; each can start, connect a two-party call of bots, and stop
    access_network    a person's way to the server, impaired as tests/link.py says, in a process of its own
    camera            what the fake cameras and microphones of `loss` and `rate` send
    browser, pages/   Chromium with a fake camera, tapping
    page_call, page_view
                      calls of its pages in both systems: two people, or one and who watches them
    smoothness        frozen or not, from the times of frames
    page_reading      what a page saw and heard between two readings
    recorded          what lies in the journal of it
    measure_*         the parts; each returns rows
    table             rows → Markdown
    namespace         a network namespace for everything above, gone when the bench ends
"""
