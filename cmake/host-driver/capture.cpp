#include "capture.h"

#include <algorithm>
#include <set>

namespace dicache_host {
namespace {

std::vector<std::weak_ptr<Capture>>& captures() {
  static auto* all = new std::vector<std::weak_ptr<Capture>>;
  return *all;
}

std::vector<std::shared_ptr<Capture>> active_captures() {
  auto& all = captures();
  std::erase_if(all, [](const auto& c) { return c.expired(); });
  std::vector<std::shared_ptr<Capture>> active;
  for (const auto& c : all)
    if (auto capture = c.lock(); capture != nullptr && capture->origin->capture == capture) active.push_back(capture);
  return active;
}

CUresult spoil(Capture& capture, CUresult why, const std::string& text) {
  report(Check::capture, text);
  capture.invalid = true;
  return why;
}

void join_tails(std::vector<GraphNode*>& tail, const std::vector<GraphNode*>& more) {
  for (GraphNode* node : more)
    if (std::find(tail.begin(), tail.end(), node) == tail.end()) tail.push_back(node);
}

// Everything the nodes depend on, themselves included.
std::set<const GraphNode*> history(const std::vector<GraphNode*>& tail) {
  std::set<const GraphNode*> seen;
  std::vector<const GraphNode*> open(tail.begin(), tail.end());
  while (!open.empty()) {
    const GraphNode* node = open.back();
    open.pop_back();
    if (seen.insert(node).second) open.insert(open.end(), node->after.begin(), node->after.end());
  }
  return seen;
}

CUresult capture_wait(Stream& stream, const Event& event, const char* call) {
  if (event.capture.lock() != stream.capture)
    return spoil(*stream.capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION,
                 std::string(call) + " makes captured work wait for an event that was not recorded in the same capture");
  join_tails(stream.tail, event.captured);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult begin_capture(const std::shared_ptr<Stream>& stream, CaptureMode mode, std::shared_ptr<Graph> into, const char* call) {
  if (stream->capture) {
    report(Check::capture, std::string(call) + " on a stream that is capturing already");
    return CUDA_ERROR_ILLEGAL_STATE;
  }
  auto capture = std::make_shared<Capture>();
  capture->graph_is_callers = into != nullptr;
  capture->graph = into != nullptr ? std::move(into) : std::make_shared<Graph>();
  capture->origin = stream.get();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->joined.push_back(stream);
  stream->capture = capture;
  stream->tail.clear();
  captures().push_back(capture);
  return CUDA_SUCCESS;
}

CUresult end_capture(Stream& stream, std::shared_ptr<Graph>& graph, bool& graph_is_callers, const char* call) {
  std::shared_ptr<Capture> capture = stream.capture;
  graph = nullptr;
  if (capture == nullptr) {
    report(Check::capture, std::string(call) + " on a stream that is not capturing");
    return CUDA_ERROR_ILLEGAL_STATE;
  }
  if (capture->origin != &stream)
    return spoil(*capture, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, std::string(call) + " on a stream that only joined the capture");
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id())
    return spoil(*capture, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, std::string(call) + " on another thread than the capture began on");
  std::set<const GraphNode*> reached = history(stream.tail);
  bool unjoined = false;
  for (const auto& weak : capture->joined) {
    std::shared_ptr<Stream> s = weak.lock();
    if (s == nullptr || s->capture != capture) continue;
    for (const GraphNode* node : s->tail) unjoined |= reached.count(node) == 0;
    s->capture = nullptr;
    s->tail.clear();
  }
  if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (unjoined) {
    report(Check::capture, std::string(call) + ": a stream that joined the capture was not joined back by an event");
    return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  }
  graph = capture->graph;
  graph_is_callers = capture->graph_is_callers;
  return CUDA_SUCCESS;
}

CUresult capture_work(Stream& stream, Work work, const char* call) {
  Capture& capture = *stream.capture;
  if (capture.invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (auto* record = std::get_if<RecordWork>(&work)) {
    record->event->capture = stream.capture;
    record->event->captured = stream.tail;
    return CUDA_SUCCESS;
  }
  if (auto* wait = std::get_if<WaitWork>(&work)) return capture_wait(stream, *wait->event, call);
  GraphNode& node = capture.graph->nodes.emplace_back();
  node.work = std::move(work);
  node.after = stream.tail;
  stream.tail = {&node};
  return CUDA_SUCCESS;
}

bool join_capture(const std::shared_ptr<Stream>& stream, const Event& event) {
  std::shared_ptr<Capture> capture = event.capture.lock();
  if (stream->capture != nullptr || capture == nullptr || capture->origin->capture != capture) return false;
  stream->capture = capture;
  stream->tail = event.captured;
  capture->joined.push_back(stream);
  return true;
}

bool any_capture() { return !active_captures().empty(); }

CUresult refuse_while_capturing(const char* call) {
  CUresult result = CUDA_SUCCESS;
  for (const auto& capture : active_captures()) {
    bool mine = capture->thread == std::this_thread::get_id();
    if (capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED || (capture->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && !mine)) continue;
    result = spoil(*capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, std::string(call) + " while a stream is capturing");
  }
  return result;
}

CUresult refuse_on_capturing(Stream& stream, const char* call) {
  if (stream.capture == nullptr) return CUDA_SUCCESS;
  return spoil(*stream.capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, std::string(call) + " on a stream that is capturing");
}

CUresult refuse_implicit_capture(const char* call) {
  CUresult result = CUDA_SUCCESS;
  for (const auto& capture : active_captures()) {
    if (capture->origin->non_blocking) continue;
    std::string text = std::string(call) + " on the default stream while a blocking stream is capturing";
    result = spoil(*capture, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, text);
  }
  return result;
}

}  // namespace dicache_host
