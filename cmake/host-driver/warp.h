// The scheduler as warp operations see it.
#pragma once

#include "fibers.h"

namespace dicache_host {

// Gives the processor to another thread until this one can go on. Returns at once if this one is picked again.
void leave_until_runnable(Block& block, Thread& thread);
void make_runnable(Block& block, unsigned warp, unsigned lanes);
void stop_running(Block& block, unsigned linear);

// Completes every operation of the warp for which no running lane is missing any more.
void complete_collectives(Block& block, unsigned warp);

}  // namespace dicache_host
