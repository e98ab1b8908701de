"""A stand-in for a Sonos player, as it appears to the network: SSDP, UPnP control and events, HTTP pages, playback."""
