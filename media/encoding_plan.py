"""Which of a camera's encodings are sent, and at which rates: what its viewers' networks carry. Pure.

    shares of the viewers ──┬─ carry the best one ──> the best
                            └─ the rest ─┬─ one group ──────> low, at their least share
                                         └─ far apart ──────> low and mid, each at its group's least share

- For a recorder the best encoding has no limit: what is kept is bounded by the sender's uplink alone. Without
  one it is sent at what the viewer with the best network gets, so that two people with good networks, or two
  with bad ones, never pay for a second encoding.
- Cuts of the best go out at once. Raises wait for each other: they come from estimates, which climb in many
  small steps. A cut that was more than was needed is made good at once; the first limit of all is none.
- Others beside it change seldom (`LastingOrder`): the best one, and what is recorded, pays for each change.
- An encoding that nobody needs goes on for a while: to begin again costs a keyframe, and whoever leaves it
  has not switched yet.
- Shares are what a network carries, with all headers; orders are what an encoder makes, without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from media.encodings import UNLIMITED_BPS, EncodingOrder, Shown
from media.lasting_order import NOTICED_RAISE, LastingOrder
from media.steady_rate import SteadyRate

COMMISSIONED = (
    0.95  # of a share: encoders overshoot for a second, and estimates go down a little as they breathe
)
HEADER_BYTES = 62  # IPv4, UDP, RTP, our header extensions, SRTP's tag, the VP8 descriptor
PACKET_BYTES = 1_150  # that browsers fill with a picture
PICTURES_PER_S = 12  # packets a second at the least: a small picture takes one of its own
LEAST_ORDER_BPS = 10_000  # encoders make no less
STEP_BPS = 1_000  # orders are whole kilobits
NOTICED_CUT = 0.97  # a share that sinks by less is breathing, and COMMISSIONED leaves room for it
RAISE_INTERVAL_S = 1.0
PAUSED_AFTER_S = 5.0  # the longest that a viewer who may leave it stays: 2 s of hysteresis, a keyframe's way
JOINS_AT = 1.15  # of the best encoding's rate: who goes up must have room for its keyframe
JOINS_AFTER_S = 2.0
LEAVES_BELOW = 0.95
NEAR = 1.4  # without a recorder the best is sent at the least of the shares this near to the largest
NEAR_TO_JOIN = 1.15
GROUPS_APART = 1.6  # from this ratio on a third encoding is worth its cost to the sender
GROUPS_TOGETHER = 1.3
LESSER = 0.9  # of the best one's rate: what takes more takes its uplink, and is no lesser encoding
LOST = 0.7  # of it: who has less does not see it any more, whatever was shown just now
AT_HAND = 0.3  # of it has who sees the best one whole, with little to spare, for when they fall
AT_HAND_WAVERS = 1.5  # as much more or less is no reason to change it
LIVE_ORDER_BPS = 35_000  # who has less sees keyframes alone, and lowers nobody's encoding for them
LIVE_ORDER_AGAIN_BPS = 42_000  # or has not had this much since: from here on they see a moving picture again
COMES_BACK_S = 10.0  # who saw a moving picture and has less, has it again within so long, or sees stills
STILLS_BPS = 80_000  # on the wire, of the encoding for those: a keyframe of 28 kbit, 640 wide and legible
SETTLES_S = 1.5  # from an order to the rate: its way to the page, a keyframe, and the second of a measurement
KEYFRAME_DUE_S = 0.5  # an encoder that begins, or changes its size, begins with a keyframe unasked within it
FAR_LESS = 0.6  # of what was ordered before: the picture becomes smaller, too
SOLE_LEAST_BPS = (
    150_000  # Vonage: 320×240 wants as much. One encoding for all goes below it for the last only
)


class EncodingPlan:
    """One sender's encodings. `orders` are in force, from the least to the best; none if it has no names."""

    def __init__(self, rids: Sequence[str]) -> None:
        self.next_deadline = inf
        self.best_bps = UNLIMITED_BPS
        """What the best encoding may have, or the only one, also where it has no name; 0 pauses it."""
        self.for_stills: set[str] = set()
        """Those of which keyframes alone are shown."""
        self._rids = tuple(rids)
        self._names = self._rids or ("",)
        self._in_force = dict.fromkeys(self._names, 0)
        self._in_force[self._names[-1]] = UNLIMITED_BPS
        self._needed_until = dict.fromkeys(self._names, -inf)
        self._changed: dict[str, tuple[float, int]] = {}  # when it began, or was cut deeply, and to what
        self._begun = False
        self._best_rate = SteadyRate()
        self._raised_at = -inf
        self._lasting = {rid: LastingOrder() for rid in self._names}
        self._at_hand_bps = 0
        self._on_best: set[str] = set()
        self._known: set[str] = set()
        self._in_stills: set[str] = set()
        self._narrow_since: dict[str, float] = {}  # of those who may come back
        self._carries_since: dict[str, float] = {}
        self._are_apart = False
        self.orders = self._written()

    def handle_viewers(
        self,
        shares_bps: Mapping[str, int],
        *,
        shown: Mapping[str, Shown],
        is_recorded: bool,
        best_bps: int,
        now: float,
    ) -> tuple[EncodingOrder, ...]:
        """The orders from now on; the same tuple where nothing changes. `shown` says what the viewers have
        been shown of late; `best_bps` is the best encoding's present rate on the wire, 0 if it is not known.
        """
        self.next_deadline = inf
        if not self._begun:
            self._begun = True
            self._needed_until[self._names[-1]] = now + PAUSED_AFTER_S
        best_bps = self._best_rate.handle_reading(best_bps, now)
        self._find_stills(shares_bps, shown, now)
        self._choose_best(shares_bps, best_bps, now, is_recorded=is_recorded)
        were_for_stills = self.for_stills
        targets = self._targets(shares_bps, shown, best_bps, is_recorded=is_recorded)
        is_changed = self._put_in_force(targets, now)
        # What nobody needs stays as it is until it is paused.
        self.for_stills |= {rid for rid in were_for_stills if not targets[rid] and self._in_force[rid]}
        if is_changed or self.for_stills != were_for_stills:
            self.orders = self._written()
            self.best_bps = self._in_force[self._names[-1]]
        return self.orders

    def _find_stills(self, shares_bps: Mapping[str, int], shown: Mapping[str, Shown], now: float) -> None:
        """Who sees stills, and has no say in how much a moving picture may have. Each change of mind would be
        another encoding for others, and another size for all.
        """
        narrow_since = dict[str, float]()
        in_stills = set[str]()
        for viewer, share in shares_bps.items():
            if viewer in self._in_stills:
                if share < LIVE_ORDER_AGAIN_BPS or shown.get(viewer) == "stills":
                    in_stills.add(viewer)
            elif share < LIVE_ORDER_BPS or shown.get(viewer) == "stills":
                since = self._narrow_since.get(viewer, now)
                if viewer not in self._known or now >= since + COMES_BACK_S:
                    in_stills.add(viewer)
                else:
                    narrow_since[viewer] = since
                    self._wake_at(since + COMES_BACK_S)
        self._in_stills, self._narrow_since = in_stills, narrow_since

    def _choose_best(
        self, shares_bps: Mapping[str, int], best_bps: int, now: float, *, is_recorded: bool
    ) -> None:
        """Who is served by the best encoding."""
        largest = max(shares_bps.values(), default=0)
        members = set[str]()
        since = dict[str, float]()
        for viewer, share in shares_bps.items():
            was_on_best, is_new = viewer in self._on_best, viewer not in self._known
            near, fits = NEAR_TO_JOIN, JOINS_AT
            if was_on_best:
                near, fits = NEAR, LEAVES_BELOW
            elif is_new:
                near, fits = NEAR, 1.0
            carries = share >= fits * best_bps if best_bps else is_recorded
            if not is_recorded:
                carries = (carries and best_bps > 0) or share * near >= largest
            if not carries:
                continue
            if not was_on_best and not is_new and not (not is_recorded and share == largest):
                since[viewer] = self._carries_since.get(viewer, now)
                if now < since[viewer] + JOINS_AFTER_S:
                    self._wake_at(since[viewer] + JOINS_AFTER_S)
                    continue
                del since[viewer]
            members.add(viewer)
        self._on_best, self._known, self._carries_since = members, set(shares_bps), since

    def _targets(
        self, shares_bps: Mapping[str, int], shown: Mapping[str, Shown], best_bps: int, *, is_recorded: bool
    ) -> dict[str, int]:
        """What is needed, on the wire."""
        *lower, best = self._names
        targets = dict.fromkeys(self._names, 0)
        self.for_stills = set()
        if not lower:
            if is_recorded:
                targets[best] = UNLIMITED_BPS
            elif shares_bps:
                largest = max(shares_bps.values())
                targets[best] = max(min(shares_bps.values()), min(SOLE_LEAST_BPS, largest))
            return targets
        if is_recorded:
            targets[best] = UNLIMITED_BPS
        elif shares_bps:
            largest = max(shares_bps.values())
            near = [viewer for viewer in self._on_best if shares_bps[viewer] * NEAR >= largest]
            least = min(near, key=shares_bps.__getitem__)
            targets[best] = shares_bps[least]
            if least in self._in_stills:
                targets[best] = STILLS_BPS
                self.for_stills.add(best)
        others = shares_bps.keys() - self._on_best
        if not others:
            return targets
        moving = others - self._in_stills
        lost_bps = LOST * best_bps
        live = sorted(
            max(1, shares_bps[viewer])
            for viewer in moving
            if shown.get(viewer) != "best" or shares_bps[viewer] < lost_bps
        )
        if not live:
            targets[lower[0]] = self._at_hand(best_bps) if moving else STILLS_BPS
            if not moving:
                self.for_stills.add(lower[0])
            return targets
        ratio = live[-1] / live[0]
        self._are_apart = len(lower) > 1 and ratio > (GROUPS_TOGETHER if self._are_apart else GROUPS_APART)
        targets[lower[0]] = live[0]
        if self._are_apart:
            gap = max(range(1, len(live)), key=lambda place: live[place] / live[place - 1])
            targets[lower[1]] = live[gap]
        if best_bps:
            most_bps = max(STILLS_BPS, int(LESSER * best_bps))
            for rid in lower:
                targets[rid] = min(targets[rid], most_bps)
        return targets

    def _at_hand(self, best_bps: int) -> int:
        """Always the same, while the best wavers."""
        bps = max(STILLS_BPS, int(AT_HAND * best_bps))
        if not bps <= AT_HAND_WAVERS * self._at_hand_bps <= AT_HAND_WAVERS**2 * bps:
            self._at_hand_bps = bps
        return self._at_hand_bps

    def _put_in_force(self, targets: Mapping[str, int], now: float) -> bool:
        """Bring the orders nearer to the targets. Tells whether any changed."""
        is_changed = is_raised = False
        for rid, wire_bps in targets.items():
            present = self._in_force[rid]
            if wire_bps:
                self._needed_until[rid] = now + PAUSED_AFTER_S
                wanted = payload_bps(wire_bps)
                if present:
                    wanted = self._noticed(rid, wanted, now)
                if wanted > present > 0 and now < self._raised_at + RAISE_INTERVAL_S:
                    self._wake_at(self._raised_at + RAISE_INTERVAL_S)
                    continue  # all that may be raised is raised together
            elif present and now < self._needed_until[rid]:
                self._wake_at(self._needed_until[rid])
                continue
            else:
                wanted = 0
            if wanted != present:
                is_changed = True
                self._lasting[rid].handle_order(present, wanted, now)
                is_raised = is_raised or wanted > present or present == UNLIMITED_BPS
                self._in_force[rid] = wanted
                if wanted and (wanted < FAR_LESS * present or not present):
                    self._changed[rid] = now, round(COMMISSIONED * wire_bps)
        if is_raised:
            self._raised_at = now
        return is_changed

    def _noticed(self, rid: str, wanted: int, now: float) -> int:
        """What of it is worth a change now; what is in force, if nothing is."""
        present, best = self._in_force[rid], self._names[-1]
        if rid == best or not self._in_force[best]:
            return present if NOTICED_CUT * present <= wanted < NOTICED_RAISE * present else wanted
        lasting = self._lasting[rid]
        noticed = lasting.handle_wanted(wanted, present, now)
        self._wake_at(lasting.deadline)
        return noticed

    def settling_bps(self, rid: str, now: float) -> int:
        """What an encoding that has just been ordered to begin, or to send far less, will have on the wire,
        until that can be measured; 0 otherwise.
        """
        changed_at, wire_bps = self._changed.get(rid, (-inf, 0))
        return wire_bps if now < changed_at + SETTLES_S else 0

    def keyframe_due(self, rid: str) -> float:
        """When a keyframe of this encoding should have come unasked, if that is still to be."""
        return self._changed.get(rid, (-inf, 0))[0] + KEYFRAME_DUE_S

    def _wake_at(self, deadline: float) -> None:
        self.next_deadline = min(self.next_deadline, deadline)

    def _written(self) -> tuple[EncodingOrder, ...]:
        return tuple(
            EncodingOrder(rid=rid, max_bitrate_bps=self._in_force[rid], for_stills=rid in self.for_stills)
            for rid in self._rids
        )


def payload_bps(wire_bps: int) -> int:
    """What an encoder may make for a viewer whose network carries this much for its pictures."""
    if wire_bps >= UNLIMITED_BPS:
        return UNLIMITED_BPS
    room_bps = COMMISSIONED * wire_bps
    packets = max(room_bps / 8 / (PACKET_BYTES + HEADER_BYTES), PICTURES_PER_S)
    ordered = room_bps - 8 * HEADER_BYTES * packets
    return max(LEAST_ORDER_BPS, int(ordered) // STEP_BPS * STEP_BPS)
