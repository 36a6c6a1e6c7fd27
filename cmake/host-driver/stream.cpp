#include "stream.h"

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
  if (stream.pending.empty()) return false;
  if (context_error() != CUDA_SUCCESS) {
    // A context that failed runs nothing more.
    stream.pending.clear();
    return false;
  }
  Work work = std::move(stream.pending.front());
  stream.pending.pop_front();
  if (CUresult r = perform(work); r != CUDA_SUCCESS) set_context_error(r);
  return true;
}

CUresult drain(Stream& stream) {
  while (advance(stream)) {
  }
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
  default_stream()->pending.clear();
  for (const auto& [handle, stream] : streams()) stream->pending.clear();
  streams().clear();
  events().clear();
}

}  // namespace dicache_host
