"""Real-time media: one port, UDP and TCP; DTLS-SRTP, RTP forwarding, journal, frames. Knows no cases.

The way of a packet:

    UDP ─ transport.py ─┬─ STUN ─ ice.py (the check that authenticates moves the address)
                        ├─ DTLS ─ dtls.py (handshake, SRTP keys)
                        └─ SRTP ─ srtp.py ─── router.py ─ forwarder.py ─ downlink.py ─ srtp.py ─ UDP
                                                 │
                                                 ├─ journal.py (all of it, in segments of ≤ 5 s: rtpdump.py)
                                                 └─ picture_buffer.py (keyframe and tail)

Lost packets are an affair of each way: what a sender repairs, by retransmission (rtx.py) or redundancy
(red.py), is unwrapped as it comes in, and wrapped again on the way out as the receiver's own network asks
for. intake.py takes from the kernel together what has come (recvmmsg.py), and under load gathering.py hands
to it together what leaves together; alarms.py wakes the calls that have something to do. repair_time.py says
how long to wait for repairs.

Whose a packet is binding.py tells once an SSRC: of which person (peer.py), of their sound or which encoding
of their picture (track.py). Each receiver's slot has a forwarder, whose layer_filter.py leaves out temporal
layers that do not fit (vp8_descriptor.py reads and renumbers them).

The picture fits the network, on each way by itself:

    to a receiver   downlink.py numbers and paces (pacer.py) what leaves; what their page says of it drives
                    bandwidth_estimator.py, which looks for queues (delay_detector.py), for loss of its own
                    making (loss_bound.py) and for more (probing.py), beside what arrives
                    (acknowledged_rate.py); allocation.py shares what there is, sound first, and chooses
                    encoding and layers, stills, or a pause
    of a camera     encoding_plan.py commissions encodings at what the shares of its viewers carry, at rates
                    without the peaks of keyframes (steady_rate.py), as seldom as can be (lasting_order.py),
                    in the words of encodings.py
    from a sender   uplink_feedback.py says what arrived when, or how much may be sent: their browser follows;
                    of what is lost however little is sent (inherent_loss.py) nothing is said

Nothing of it touches what is recorded: that is the best encoding that arrives.

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
