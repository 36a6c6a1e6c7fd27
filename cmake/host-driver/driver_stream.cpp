// Streams, events, capture.
#include "call.h"
#include "capture.h"
#include "memory.h"
#include "stream.h"

using namespace dicache_host;

namespace {

CUresult create_stream(CUstream* stream, unsigned flags) {
  if (flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  static unsigned long streams_made = 0;
  auto created = std::make_shared<Stream>();
  created->number = ++streams_made;
  created->non_blocking = flags == CU_STREAM_NON_BLOCKING;
  *stream = streams().add(std::move(created));
  return CUDA_SUCCESS;
}

// An event that was captured has no time and cannot be waited for.
CUresult refuse_captured(Event& event, const char* call) {
  std::shared_ptr<Capture> capture = event.capture.lock();
  if (capture == nullptr || capture->origin->capture != capture) return CUDA_SUCCESS;
  report(Check::capture, std::string(call) + " on an event that was recorded while capturing");
  capture->invalid = true;
  return CUDA_ERROR_CAPTURED_EVENT;
}

}  // namespace

DICACHE_EXPORT CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  Call call("cuStreamCreate");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return create_stream(stream, flags);
}

DICACHE_EXPORT CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int) {
  Call call("cuStreamCreateWithPriority");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return create_stream(stream, flags);
}

DICACHE_EXPORT CUresult cuStreamDestroy_v2(CUstream handle) {
  Call call("cuStreamDestroy", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = streams().remove(handle, "cuStreamDestroy");
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    report(Check::capture, "cuStreamDestroy on a stream that is capturing");
    stream->capture->invalid = true;
  }
  // The real call returns at once and the work goes on; nothing can tell the difference when it is done here.
  drain(*stream);
  return call.result(CUDA_SUCCESS);
}

DICACHE_EXPORT CUresult cuStreamSynchronize(CUstream handle) {
  Call call("cuStreamSynchronize");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(handle, "cuStreamSynchronize");
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult r = refuse_on_capturing(*stream, "cuStreamSynchronize"); r != CUDA_SUCCESS) return r;
  drain(*stream);
  if (!check_margins("at cuStreamSynchronize")) set_context_error(CUDA_ERROR_ILLEGAL_ADDRESS);
  return context_error();
}

// Each query lets one piece of work finish, so that a loop of queries ends.
DICACHE_EXPORT CUresult cuStreamQuery(CUstream handle) {
  Call call("cuStreamQuery");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(handle, "cuStreamQuery");
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult r = refuse_on_capturing(*stream, "cuStreamQuery"); r != CUDA_SUCCESS) return r;
  bool pending = advance(*stream);
  if (context_error() != CUDA_SUCCESS) return context_error();
  return pending ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuStreamWaitEvent(CUstream handle, CUevent event_handle, unsigned) {
  Call call("cuStreamWaitEvent");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(handle, "cuStreamWaitEvent");
  std::shared_ptr<Event> event = events().find(event_handle, "cuStreamWaitEvent");
  if (stream == nullptr || event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (join_capture(stream, *event)) return CUDA_SUCCESS;
  return submit(*stream, WaitWork{event, event->issued}, "cuStreamWaitEvent");
}

DICACHE_EXPORT CUresult cuEventCreate(CUevent* event, unsigned flags) {
  Call call("cuEventCreate");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  auto created = std::make_shared<Event>();
  created->timing = (flags & CU_EVENT_DISABLE_TIMING) == 0;
  *event = events().add(std::move(created));
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuEventDestroy_v2(CUevent handle) {
  Call call("cuEventDestroy", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return events().remove(handle, "cuEventDestroy") == nullptr ? CUDA_ERROR_INVALID_HANDLE : call.result(CUDA_SUCCESS);
}

DICACHE_EXPORT CUresult cuEventRecord(CUevent handle, CUstream stream_handle) {
  Call call("cuEventRecord");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(stream_handle, "cuEventRecord");
  std::shared_ptr<Event> event = events().find(handle, "cuEventRecord");
  if (stream == nullptr || event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture == nullptr) {
    event->capture.reset();
    event->stream = stream;
    event->issued++;
  }
  return submit(*stream, RecordWork{event, event->issued}, "cuEventRecord");
}

DICACHE_EXPORT CUresult cuEventSynchronize(CUevent handle) {
  Call call("cuEventSynchronize");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Event> event = events().find(handle, "cuEventSynchronize");
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult r = refuse_captured(*event, "cuEventSynchronize"); r != CUDA_SUCCESS) return r;
  if (std::shared_ptr<Stream> stream = event->stream.lock()) let_others_run(*stream);
  return finish_record(*event, event->issued);
}

DICACHE_EXPORT CUresult cuEventQuery(CUevent handle) {
  Call call("cuEventQuery");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Event> event = events().find(handle, "cuEventQuery");
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult r = refuse_captured(*event, "cuEventQuery"); r != CUDA_SUCCESS) return r;
  if (event->completed == event->issued) return CUDA_SUCCESS;
  if (std::shared_ptr<Stream> stream = event->stream.lock()) advance(*stream);
  return context_error() != CUDA_SUCCESS ? context_error() : CUDA_ERROR_NOT_READY;
}

DICACHE_EXPORT CUresult cuEventElapsedTime(float* milliseconds, CUevent start_handle, CUevent end_handle) {
  Call call("cuEventElapsedTime");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Event> start = events().find(start_handle, "cuEventElapsedTime"), end = events().find(end_handle, "cuEventElapsedTime");
  if (start == nullptr || end == nullptr || !start->timing || !end->timing) return CUDA_ERROR_INVALID_HANDLE;
  if (start->issued == 0 || end->issued == 0) return CUDA_ERROR_INVALID_HANDLE;
  if (start->completed != start->issued || end->completed != end->issued) return CUDA_ERROR_NOT_READY;
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuStreamBeginCapture_v2(CUstream handle, int mode) {
  Call call("cuStreamBeginCapture");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(handle, "cuStreamBeginCapture");
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (mode < 0 || mode > 2) return CUDA_ERROR_INVALID_VALUE;
  // The default stream cannot be captured.
  if (reinterpret_cast<uintptr_t>(handle) <= 2) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return begin_capture(stream, static_cast<CaptureMode>(mode), nullptr, "cuStreamBeginCapture");
}

DICACHE_EXPORT CUresult cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph, const CUgraphNode*, const void*, size_t dependencies,
                                                    int mode) {
  Call call("cuStreamBeginCaptureToGraph");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(handle, "cuStreamBeginCaptureToGraph");
  std::shared_ptr<Graph> into = find_graph(graph, "cuStreamBeginCaptureToGraph");
  if (stream == nullptr || into == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (mode < 0 || mode > 2 || reinterpret_cast<uintptr_t>(handle) <= 2) return CUDA_ERROR_INVALID_VALUE;
  if (dependencies != 0) return CUDA_ERROR_NOT_SUPPORTED;
  return begin_capture(stream, static_cast<CaptureMode>(mode), into, "cuStreamBeginCaptureToGraph");
}

DICACHE_EXPORT CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  Call call("cuStreamEndCapture", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(handle, "cuStreamEndCapture");
  *graph = nullptr;
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  std::shared_ptr<Graph> captured;
  bool is_callers = false;
  CUresult r = end_capture(*stream, captured, is_callers, "cuStreamEndCapture");
  // A failure that was asked for ends the capture and gives no graph, like any other.
  if (r == CUDA_SUCCESS) r = call.result(CUDA_SUCCESS);
  if (r != CUDA_SUCCESS) return r;
  *graph = is_callers ? captured.get() : graphs().add(std::move(captured));
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuStreamIsCapturing(CUstream handle, int* status) {
  Call call("cuStreamIsCapturing");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Stream> stream = stream_of(handle, "cuStreamIsCapturing");
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *status = stream->capture == nullptr   ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                         : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}
