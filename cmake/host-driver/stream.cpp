#include "stream.h"

#include <algorithm>

#include "call.h"
#include "capture.h"
#include "memory.h"
#include "options.h"

namespace dicache_host {
namespace {

std::shared_ptr<Stream>& default_stream() {
  static auto* stream = new std::shared_ptr<Stream>(std::make_shared<Stream>());
  return *stream;
}

// The default stream waits for all blocking streams and they wait for it: its work is done as it is issued.
bool is_default(const Stream& s) { return &s == default_stream().get(); }

CUresult drain_blocking() {
  for (const auto& [handle, stream] : streams())
    if (!stream->non_blocking) drain(*stream);
  return context_error();
}

uint64_t random_state = 0;

unsigned chance() {
  random_state = (random_state + options().seed) * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<unsigned>(random_state >> 33);
}

}  // namespace

Handles<Stream>& streams() {
  static auto* all = new Handles<Stream>("stream");
  return *all;
}

Handles<Event>& events() {
  static auto* all = new Handles<Event>("event");
  return *all;
}

std::shared_ptr<Stream> stream_of(void* handle, const char* call) {
  // 1 and 2 are CUDA's explicit names for the two kinds of default stream.
  if (reinterpret_cast<uintptr_t>(handle) <= 2) return default_stream();
  return streams().find(handle, call);
}

CUresult submit(Stream& stream, Work work, const char* call) {
  if (stream.capture) return capture_work(stream, std::move(work), call);
  if (is_default(stream)) {
    if (CUresult r = refuse_implicit_capture(call); r != CUDA_SUCCESS) return r;
    if (CUresult r = drain_blocking(); r != CUDA_SUCCESS) return r;
  }
  stream.pending.push_back(std::move(work));
  return options().eager || is_default(stream) ? drain(stream) : CUDA_SUCCESS;
}

bool advance(Stream& stream) {
  if (stream.pending.empty() && !stream.launched) return false;
  if (context_error() != CUDA_SUCCESS) {
    // A context that failed runs nothing more.
    stream.pending.clear();
    stream.launched.reset();
    return false;
  }
  if (!stream.launched) {
    Work work = std::move(stream.pending.front());
    stream.pending.pop_front();
    auto* graph = std::get_if<GraphWork>(&work);
    if (graph == nullptr || !options().interleave) {
      if (CUresult r = perform(work); r != CUDA_SUCCESS) set_context_error(r);
      return true;
    }
    stream.launched.emplace(graph->plan);
  }
  if (!stream.launched->done())
    if (CUresult r = stream.launched->step(); r != CUDA_SUCCESS) set_context_error(r);
  if (stream.launched->done()) stream.launched.reset();
  return true;
}

void let_others_run(const Stream& waited_for) {
  if (!options().interleave) return;
  std::vector<Stream*> others;
  for (const auto& [handle, stream] : streams())
    if (stream.get() != &waited_for) others.push_back(stream.get());
  // In the order they were made, not that of their addresses, so that a seed gives the same run again.
  std::sort(others.begin(), others.end(), [](const Stream* a, const Stream* b) { return a->number < b->number; });
  // None, one or a few: the streams keep about the same pace, and now and then one is far ahead.
  while (!others.empty() && (chance() & 1) != 0) advance(*others[chance() % others.size()]);
}

CUresult drain(Stream& stream) {
  do let_others_run(stream);
  while (advance(stream));
  return context_error();
}

CUresult drain_all() {
  drain(*default_stream());
  for (const auto& [handle, stream] : streams()) drain(*stream);
  if (!check_margins("at synchronisation")) set_context_error(CUDA_ERROR_ILLEGAL_ADDRESS);
  return context_error();
}

CUresult finish_record(Event& event, uint64_t ticket) {
  std::shared_ptr<Stream> stream = event.stream.lock();
  while (event.completed < ticket && stream != nullptr && advance(*stream)) {
  }
  return context_error();
}

void clear_streams() {
  random_state = 0;
  default_stream()->pending.clear();
  default_stream()->launched.reset();
  for (const auto& [handle, stream] : streams()) {
    stream->pending.clear();
    stream->launched.reset();
  }
  streams().clear();
  events().clear();
}

}  // namespace dicache_host
