// Graphs.
#include "call.h"
#include "capture.h"
#include "graph.h"
#include "module.h"
#include "stream.h"

using namespace dicache_host;

namespace {

// Bodies of conditional nodes: reached by handle, owned by their node.
std::unordered_map<void*, std::weak_ptr<Graph>>& bodies() {
  static auto* all = new std::unordered_map<void*, std::weak_ptr<Graph>>;
  return *all;
}

bool attach(Graph& graph, GraphNode& node, const CUgraphNode* after, size_t count) {
  for (size_t i = 0; i < count; i++) {
    GraphNode* before = nullptr;
    for (GraphNode& n : graph.nodes)
      if (&n == after[i]) before = &n;
    if (before == nullptr || before == &node) return false;
    node.after.push_back(before);
  }
  return true;
}

CUresult fill_conditional(GraphNode& node, CUDA_CONDITIONAL_NODE_PARAMS& p) {
  bool shape_valid = p.type == CU_GRAPH_COND_TYPE_SWITCH ? p.size >= 1 : p.size == 1 || (p.type == CU_GRAPH_COND_TYPE_IF && p.size == 2);
  if (!shape_valid || p.type < CU_GRAPH_COND_TYPE_IF || p.type > CU_GRAPH_COND_TYPE_SWITCH) return CUDA_ERROR_INVALID_VALUE;
  Conditional& conditional = node.conditional.emplace(Conditional{p.handle, p.type, {}, {}});
  for (unsigned i = 0; i < p.size; i++) {
    auto body = std::make_shared<Graph>();
    bodies()[body.get()] = body;
    conditional.handles.push_back(body.get());
    conditional.bodies.push_back(std::move(body));
  }
  p.phGraph_out = conditional.handles.data();
  return CUDA_SUCCESS;
}

CUresult fill_kernel(GraphNode& node, const CUDA_KERNEL_NODE_PARAMS& p) {
  KernelWork work;
  CUresult r = make_kernel_work(p.func, {p.gridDimX, p.gridDimY, p.gridDimZ}, {p.blockDimX, p.blockDimY, p.blockDimZ}, p.sharedMemBytes,
                                p.kernelParams, p.extra, work, "cuGraphAddNode");
  if (r == CUDA_SUCCESS) node.work = std::move(work);
  return r;
}

CUresult add_node(CUgraphNode* out, CUgraph handle, const CUgraphNode* after, size_t count, CUgraphNodeParams* p) {
  std::shared_ptr<Graph> graph = find_graph(handle, "cuGraphAddNode");
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (p == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  GraphNode& node = graph->nodes.emplace_back();
  CUresult r = CUDA_ERROR_NOT_SUPPORTED;
  if (!attach(*graph, node, after, count)) r = CUDA_ERROR_INVALID_VALUE;
  else if (p->type == CU_GRAPH_NODE_TYPE_KERNEL) r = fill_kernel(node, p->kernel);
  else if (p->type == CU_GRAPH_NODE_TYPE_CONDITIONAL) r = fill_conditional(node, p->conditional);
  else if (p->type == CU_GRAPH_NODE_TYPE_EMPTY) r = CUDA_SUCCESS;
  if (r != CUDA_SUCCESS) graph->nodes.pop_back();
  else *out = &node;
  return r;
}

}  // namespace

namespace dicache_host {

std::shared_ptr<Graph> find_graph(void* handle, const char* call) {
  if (auto it = bodies().find(handle); it != bodies().end())
    if (std::shared_ptr<Graph> body = it->second.lock()) return body;
  return graphs().find(handle, call);
}

}  // namespace dicache_host

DICACHE_EXPORT CUresult cuGraphCreate(CUgraph* graph, unsigned flags) {
  Call call("cuGraphCreate");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  *graph = graphs().add(std::make_shared<Graph>());
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuGraphDestroy(CUgraph handle) {
  Call call("cuGraphDestroy", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return graphs().remove(handle, "cuGraphDestroy") == nullptr ? CUDA_ERROR_INVALID_HANDLE : call.result(CUDA_SUCCESS);
}

DICACHE_EXPORT CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle* handle, CUgraph graph_handle, CUcontext,
                                                       unsigned initial, unsigned flags) {
  Call call("cuGraphConditionalHandleCreate");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Graph> graph = find_graph(graph_handle, "cuGraphConditionalHandleCreate");
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (flags > CU_GRAPH_COND_ASSIGN_DEFAULT) return CUDA_ERROR_INVALID_VALUE;
  *handle = add_condition(*graph, initial, flags == CU_GRAPH_COND_ASSIGN_DEFAULT);
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuGraphAddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after, size_t count,
                                       CUgraphNodeParams* parameters) {
  Call call("cuGraphAddNode");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return add_node(node, graph, after, count, parameters);
}

// The newer form also takes data about each edge; only plain edges exist here.
DICACHE_EXPORT CUresult cuGraphAddNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* after, const void* edges, size_t count,
                                          CUgraphNodeParams* parameters) {
  Call call("cuGraphAddNode");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  if (edges != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return add_node(node, graph, after, count, parameters);
}

DICACHE_EXPORT CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  Call call("cuGraphGetNodes");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Graph> graph = find_graph(handle, "cuGraphGetNodes");
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  size_t i = 0;
  if (nodes != nullptr)
    for (GraphNode& node : graph->nodes)
      if (i < *count) nodes[i++] = &node;
  *count = nodes != nullptr ? i : graph->nodes.size();
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph handle, unsigned long long) {
  Call call("cuGraphInstantiate");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Graph> graph = graphs().find(handle, "cuGraphInstantiate");
  if (graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *executable = plans().add(instantiate(*graph));
  return CUDA_SUCCESS;
}

DICACHE_EXPORT CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  Call call("cuGraphLaunch");
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  std::shared_ptr<Plan> plan = plans().find(handle, "cuGraphLaunch");
  std::shared_ptr<Stream> stream = stream_of(stream_handle, "cuGraphLaunch");
  if (plan == nullptr || stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  return submit(*stream, GraphWork{plan}, "cuGraphLaunch");
}

DICACHE_EXPORT CUresult cuGraphExecDestroy(CUgraphExec handle) {
  Call call("cuGraphExecDestroy", Fails::after);
  if (CUresult r = call.refused(Needs::context); r != CUDA_SUCCESS) return r;
  return plans().remove(handle, "cuGraphExecDestroy") == nullptr ? CUDA_ERROR_INVALID_HANDLE : call.result(CUDA_SUCCESS);
}
