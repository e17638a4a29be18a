"""Real Chromium with fake devices against a real service: what a person would see."""
