"""Real-time media: one port, UDP and TCP; DTLS-SRTP, RTP forwarding, journal, frames. Knows no cases.

The way of a packet:

    UDP ─ transport.py ─┬─ STUN ─ ice.py (the check that authenticates moves the address)
                        ├─ DTLS ─ dtls.py (handshake, SRTP keys)
                        └─ SRTP ─ unprotect ─ router.py ─ forwarder.py ─ protect ─ UDP
                                                 │
                                                 ├─ journal.py (all of it, in segments of ≤ 5 s: rtpdump.py)
                                                 └─ picture_buffer.py (keyframe and tail)

Lost packets are an affair of each way: what a sender repairs, by retransmission (rtx.py) or redundancy
(red.py), is unwrapped as it comes in, and wrapped again on the way out as the receiver's own network asks
for. Under load gathering.py hands the kernel together what leaves together. repair_time.py says how long to
wait for repairs.

Of what is kept of a call playback.py makes files that players know, in a process of its own: timeline.py
puts the packets of the segments in their place, presentation.py knows the clocks, opus.py leaves no gap
in the sound.

Where UDP is blocked the same packets come framed in a stream: tcp.py and framing.py stand before
transport.py, and a connection is an address like any other. fragment.py reads and writes what restarts ICE.

And of the journal: what an admitted sender's packets are once they are unwrapped is kept by reference, and
handed to whoever admitted them in segments, across their connections, down to the last packet. Who seals a
segment encodes it as rtpdump elsewhere than where packets are forwarded.

And of a frame: relay.py asks picture_buffer.py for the newest decodable picture and hands its packets to
picture_decoder.py, whose worker process answers with a JPEG. Nothing else is ever decoded. How good each way
is, router.py measures and network_grade.py puts into three levels.
"""
