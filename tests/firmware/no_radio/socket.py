# There is nothing in it: the firmware's modules can be imported, and whoever opens a socket fails.
