"""A board on a cable: finding it, writing the firmware to it, reading its label. A phone needs nothing of it."""
