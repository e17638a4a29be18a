"""Other people's WebRTC against the running service: aiortc, libwebrtc in Node, and Chromium on our pages."""
