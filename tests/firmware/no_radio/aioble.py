# For a board without Bluetooth: the tests give the firmware connections and characteristics of their own, here as on
# every board.
