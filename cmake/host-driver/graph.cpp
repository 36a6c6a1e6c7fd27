#include "graph.h"

#include <map>

#include "cuda_host_threads.h"
#include "options.h"

namespace dicache_host {
namespace {

// While loops that run longer than this are taken for endless: their condition is never cleared.
constexpr unsigned loop_limit = 1u << 20;

// Graphs and plans own conditions; a handle is only a name for one.
struct Conditions {
  std::map<CUgraphConditionalHandle, std::weak_ptr<Condition>> named;
  CUgraphConditionalHandle next = 0x100;
};

Conditions& conditions() {
  static auto* all = new Conditions;
  return *all;
}

std::shared_ptr<Condition> find_condition(CUgraphConditionalHandle handle) {
  auto it = conditions().named.find(handle);
  return it == conditions().named.end() ? nullptr : it->second.lock();
}

void copy_into(Plan& plan, const Graph& graph) {
  std::map<const GraphNode*, size_t> index;
  for (const GraphNode& node : graph.nodes) index.emplace(&node, index.size());
  plan.nodes.resize(graph.nodes.size());
  for (const GraphNode& node : graph.nodes) {
    PlanNode& copy = plan.nodes[index.at(&node)];
    copy.work = node.work;
    copy.dependencies = node.after.size();
    for (const GraphNode* before : node.after) plan.nodes[index.at(before)].dependents.push_back(index.at(&node));
    if (node.conditional) {
      copy.type = node.conditional->type;
      copy.handle = node.conditional->handle;
      for (const auto& body : node.conditional->bodies) copy.bodies.push_back(instantiate(*body));
    }
  }
  plan.conditions = graph.conditions;
}

CUresult run_conditional(const PlanNode& node) {
  std::shared_ptr<Condition> condition = find_condition(node.handle);
  if (condition == nullptr) {
    report(Check::graph, "a conditional node looks at a handle whose graph was destroyed");
    return CUDA_ERROR_ILLEGAL_STATE;
  }
  if (node.type == CU_GRAPH_COND_TYPE_SWITCH)
    return condition->value < node.bodies.size() ? run_plan(node.bodies[condition->value]) : CUDA_SUCCESS;
  if (node.type == CU_GRAPH_COND_TYPE_IF) {
    if (condition->value != 0) return run_plan(node.bodies[0]);
    return node.bodies.size() > 1 ? run_plan(node.bodies[1]) : CUDA_SUCCESS;
  }
  for (unsigned turn = 0; condition->value != 0; turn++) {
    if (turn == loop_limit) {
      report(Check::graph, "a while node ran " + std::to_string(loop_limit) + " times without its condition being cleared");
      return CUDA_ERROR_LAUNCH_TIMEOUT;
    }
    if (CUresult r = run_plan(node.bodies[0]); r != CUDA_SUCCESS) return r;
  }
  return CUDA_SUCCESS;
}

}  // namespace

Handles<Graph>& graphs() {
  static auto* all = new Handles<Graph>("graph");
  return *all;
}

Handles<Plan>& plans() {
  static auto* all = new Handles<Plan>("executable graph");
  return *all;
}

CUgraphConditionalHandle add_condition(Graph& graph, unsigned initial, bool assign_initial) {
  CUgraphConditionalHandle handle = conditions().next++;
  graph.conditions.push_back(std::make_shared<Condition>(Condition{0, initial, assign_initial}));
  conditions().named[handle] = graph.conditions.back();
  return handle;
}

std::shared_ptr<Plan> instantiate(const Graph& graph) {
  auto plan = std::make_shared<Plan>();
  copy_into(*plan, graph);
  return plan;
}

PlanRun::PlanRun(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)), waiting_for_(plan_->nodes.size()), random_(options().seed) {
  for (const auto& condition : plan_->conditions)
    if (condition->assign_initial) condition->value = condition->initial;
  for (size_t i = 0; i < waiting_for_.size(); i++) {
    waiting_for_[i] = plan_->nodes[i].dependencies;
    if (waiting_for_[i] == 0) ready_.push_back(i);
  }
}

CUresult PlanRun::step() {
  random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
  size_t at = options().seed == 0 ? 0 : static_cast<size_t>((random_ >> 33) % ready_.size());
  size_t i = ready_[at];
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(at));
  const PlanNode& node = plan_->nodes[i];
  CUresult r = node.work ? perform(*node.work) : !node.bodies.empty() ? run_conditional(node) : CUDA_SUCCESS;
  for (size_t next : node.dependents)
    if (--waiting_for_[next] == 0) ready_.push_back(next);
  return r;
}

CUresult run_plan(const std::shared_ptr<const Plan>& plan) {
  PlanRun run(plan);
  while (!run.done())
    if (CUresult r = run.step(); r != CUDA_SUCCESS) return r;
  return CUDA_SUCCESS;
}

void clear_graphs() {
  plans().clear();
  graphs().clear();
  conditions().named.clear();
}

void set_conditional(unsigned long long handle, unsigned value) {
  if (std::shared_ptr<Condition> condition = find_condition(handle)) {
    condition->value = value;
    return;
  }
  report(Check::graph, "a kernel sets a conditional handle that does not exist");
}

}  // namespace dicache_host
