// The SIM_LWIP board's configuration: the SIM board's.
#include "../SIM/mpconfigvariant.h"
