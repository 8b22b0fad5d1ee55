// See context.h; c10d's header includes this file and needs nothing of it.
#pragma once
