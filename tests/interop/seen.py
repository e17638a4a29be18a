"""What a peer has received, counted the same way for each implementation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.end_to_end.people import until

Colour = tuple[int, int, int]  # red, green, blue

TOLERANCE = 16  # of 255: what VP8 and H.264 lose of a plain colour at their first bitrate
MIN_SOUND = 1e-4  # mean square of full scale; a tone at a quarter of it has 0.03


def near(seen: Sequence[int], known: Colour) -> bool:
    return all(abs(one - other) <= TOLERANCE for one, other in zip(seen, known, strict=True))


@dataclass(slots=True)
class Seen:
    pictures: int = 0
    """Decoded, in all slots together."""
    colour: Colour | None = None
    """Of the newest picture, in the middle of its quarter at the bottom right."""
    sound: float = 0.0
    """Mean square of the newest stretch of sound, 1 at full scale."""

    def handle_picture(self, colour: Colour) -> None:
        self.pictures += 1
        self.colour = colour

    def handle_sound(self, mean_square: float) -> None:
        self.sound = mean_square

    async def wait_for(self, colour: Colour, pictures: int = 10) -> None:
        """Until that many pictures have come, the newest in that colour, and sound is heard."""

        async def comes() -> bool:
            return (
                self.pictures >= pictures
                and self.colour is not None
                and near(self.colour, colour)
                and self.sound >= MIN_SOUND
            )

        await until(comes, f"{pictures} pictures, the newest {colour}, and sound")
