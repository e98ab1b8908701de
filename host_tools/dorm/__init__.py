"""The virtual dorm: a whole network on one machine, of Linux network namespaces, real programs and real packets."""
