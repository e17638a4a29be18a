"""The mirror of the four packages, end-to-end tests in real browsers, interoperability, benchmarks."""
