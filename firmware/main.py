"""Started by MicroPython after boot; everything else is wired in `speakeasy.app`."""

from speakeasy import app

app.run()
