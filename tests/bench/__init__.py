"""The benchmark: what Proofcall costs and how quick it is, beside its peers, in one run on one machine.

`python -m tests.bench [cpu] [memory] [join] [frame] [log]` (all of them without a name) prints one Markdown
table with what DESIGN asks for ("reach") and what this machine gave ("measured").

How it is put together, from the bottom to the top:

    media_source      VP8 and Opus, encoded once, that all bots send
    bot               one WebRTC connection of a bot: ICE controlling, DTLS-SRTP, RTP out and counted in
    processes         a server as a child process: its CPU time and memory as the operating system counts them
    proofcall_peer, janus_peer, media_relay_peer
                      the three servers; each can start, connect a two-party call of bots, and stop
    browser, pages/   Chromium with a fake camera, tapping
    measure_*         the five parts; each returns rows
    table             rows → Markdown
    namespace         a network namespace for everything above, gone when the bench ends
"""
