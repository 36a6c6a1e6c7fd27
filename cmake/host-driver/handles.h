// Objects that callers hold by an opaque pointer. What is not destroyed stays listed, which is how leaks are found.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "findings.h"

namespace dicache_host {

template <class T>
class Handles {
 public:
  explicit Handles(const char* kind) : kind_(kind) {}

  void* add(std::shared_ptr<T> object) {
    void* handle = object.get();
    live_.emplace(handle, std::move(object));
    return handle;
  }

  // The object, or null and a finding.
  std::shared_ptr<T> find(void* handle, const char* call) const {
    auto it = live_.find(handle);
    if (it != live_.end()) return it->second;
    report(Check::handle, std::string(call) + " was given " + (handle == nullptr ? "a null " : "a destroyed or foreign ") + kind_);
    return nullptr;
  }

  // Takes the object off the list; null and a finding when it is not on it.
  std::shared_ptr<T> remove(void* handle, const char* call) {
    std::shared_ptr<T> object = find(handle, call);
    live_.erase(handle);
    return object;
  }

  size_t size() const { return live_.size(); }
  void clear() { live_.clear(); }
  auto begin() const { return live_.begin(); }
  auto end() const { return live_.end(); }

  void list(std::string& text, size_t& count) const {
    if (!live_.empty()) text += std::to_string(live_.size()) + " " + kind_ + (live_.size() == 1 ? "\n" : "s\n");
    count += live_.size();
  }

 private:
  const char* kind_;
  std::unordered_map<void*, std::shared_ptr<T>> live_;
};

}  // namespace dicache_host
