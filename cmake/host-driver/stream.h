// Streams and events. Work waits in its stream until something waits for it, as late as CUDA allows: a missing wait shows at once, as
// old data. Options::eager makes it happen when it is issued instead; Options::interleave mixes the kernels of all streams, those of graphs
// one by one, so that work of two streams that nothing orders runs now in one order, now in the other.
#pragma once

#include <chrono>
#include <deque>

#include "graph.h"
#include "handles.h"
#include "work.h"

namespace dicache_host {

struct Capture;

struct Stream {
  unsigned long number = 0;
  bool non_blocking = false;
  std::deque<Work> pending;
  std::optional<PlanRun> launched;  // a graph launch under way, before what is pending
  // While capturing: into what, and the nodes the next one depends on.
  std::shared_ptr<Capture> capture;
  std::vector<GraphNode*> tail;
};

struct Event {
  bool timing = true;
  uint64_t issued = 0, completed = 0;  // records so far
  std::chrono::steady_clock::time_point at{};
  std::weak_ptr<Stream> stream;        // where it was last recorded
  // The same while capturing.
  std::weak_ptr<Capture> capture;
  std::vector<GraphNode*> captured;

  void complete(uint64_t ticket) {
    completed = ticket > completed ? ticket : completed;
    at = std::chrono::steady_clock::now();
  }
};

Handles<Stream>& streams();
Handles<Event>& events();

// The stream for a handle (0 is the default stream), or null and a finding.
std::shared_ptr<Stream> stream_of(void* handle, const char* call);

// Captures the work, or queues it.
CUresult submit(Stream& stream, Work work, const char* call);

// Runs what is pending; the error of the context if there is one.
CUresult drain(Stream& stream);
CUresult drain_all();
// Runs one piece of pending work. False when there is none.
bool advance(Stream& stream);
// Lets other streams run some of theirs first, when they are to interleave.
void let_others_run(const Stream& waited_for);
// Runs the event's stream until the record is done.
CUresult finish_record(Event& event, uint64_t ticket);

void clear_streams();

}  // namespace dicache_host
