// Graphs: nodes with dependencies, made by capture or by hand; and plans, which are graphs ready to be run again and again.
#pragma once

#include <list>
#include <optional>

#include "handles.h"
#include "work.h"

namespace dicache_host {

struct Graph;

// The value that a conditional node looks at; kernels set it through its handle.
struct Condition {
  unsigned value, initial;
  bool assign_initial;
};

struct Conditional {
  CUgraphConditionalHandle handle;
  ConditionalType type;
  std::vector<std::shared_ptr<Graph>> bodies;
  std::vector<CUgraph> handles;  // of the bodies; the caller reads them here
};

struct GraphNode {
  std::optional<Work> work;  // neither work nor conditional: an empty node
  std::optional<Conditional> conditional;
  std::vector<GraphNode*> after;
};

struct Graph {
  std::list<GraphNode> nodes;  // a list, so that nodes keep their address, which is their handle
  std::vector<std::shared_ptr<Condition>> conditions;
};

struct PlanNode {
  std::optional<Work> work;
  ConditionalType type{};
  CUgraphConditionalHandle handle = 0;
  std::vector<std::shared_ptr<const Plan>> bodies;
  size_t dependencies = 0;
  std::vector<size_t> dependents;
};

struct Plan {
  std::vector<PlanNode> nodes;
  std::vector<std::shared_ptr<Condition>> conditions;
};

Handles<Graph>& graphs();
Handles<Plan>& plans();

// A graph or the body of a conditional node, or null and a finding.
std::shared_ptr<Graph> find_graph(void* handle, const char* call);

CUgraphConditionalHandle add_condition(Graph& graph, unsigned initial, bool assign_initial);

// A copy of the graph as it is now.
std::shared_ptr<Plan> instantiate(const Graph& graph);

// A launch of a plan: its nodes one by one, in an order the dependencies allow; which one is chosen by the seed.
class PlanRun {
 public:
  explicit PlanRun(std::shared_ptr<const Plan> plan);
  bool done() const { return ready_.empty(); }
  // Runs one node; the body of a conditional node counts as part of it.
  CUresult step();

 private:
  std::shared_ptr<const Plan> plan_;
  std::vector<size_t> waiting_for_, ready_;
  uint64_t random_;
};

CUresult run_plan(const std::shared_ptr<const Plan>& plan);

void clear_graphs();

}  // namespace dicache_host
