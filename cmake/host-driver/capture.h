// Recording what is issued to streams into a graph.
#pragma once

#include <thread>

#include "graph.h"
#include "stream.h"

namespace dicache_host {

struct Capture {
  std::shared_ptr<Graph> graph;
  Stream* origin;
  CaptureMode mode;
  std::thread::id thread;
  bool invalid = false;
  bool graph_is_callers = false;  // captured into a graph that existed before
  std::vector<std::weak_ptr<Stream>> joined;
};

CUresult begin_capture(const std::shared_ptr<Stream>& stream, CaptureMode mode, std::shared_ptr<Graph> into, const char* call);
// Sets the graph to null when the capture failed.
CUresult end_capture(Stream& stream, std::shared_ptr<Graph>& graph, bool& graph_is_callers, const char* call);
CUresult capture_work(Stream& stream, Work work, const char* call);

// A stream waits for an event that another stream recorded while capturing: it joins the capture.
bool join_capture(const std::shared_ptr<Stream>& stream, const Event& event);

// True while any stream captures, on whatever thread and in whatever mode.
bool any_capture();

// Calls that CUDA forbids while a stream captures. Each also spoils the capture and is a finding.
CUresult refuse_while_capturing(const char* call);
CUresult refuse_on_capturing(Stream& stream, const char* call);
CUresult refuse_implicit_capture(const char* call);

}  // namespace dicache_host
