#include "cli/locking/stack_limit.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace grex::cli {
namespace {

// The last slot has the most digits.
std::string longest_path(const core::TargetFile& file) {
  return file.names.empty() ? std::string() : file.path(file.names.size() - 1);
}

// An upper bound for its size.
std::size_t longest_path_size(const core::TargetFile& file) {
  return file.names.empty() ? 0 : file.directory->path.size() + 1 + file.names.back().size();
}

core::ClusterEntry longest_cluster_entry(const std::string& name, const std::string& ns) {
  constexpr std::size_t longest_number = 20;
  constexpr std::size_t around_name = 64;  // of a key
  constexpr std::size_t encoded_byte = 3;
  const std::string number(longest_number, '9');
  const std::string key(ns.size() + around_name + encoded_byte * name.size(), '%');
  return {number, ns, name, key, std::numeric_limits<std::uint64_t>::max(), number};
}

// The stack below all locks of a plan, with numbers as long as they can be.
core::TierStack longest_stack(const Plan& plan) {
  constexpr auto longest = std::numeric_limits<std::uint64_t>::max();
  core::TierStack stack = plan.stack;
  for (const core::Target& target : plan.targets) {
    core::StackEntry entry;
    entry.tier = target.tier();
    entry.pid = std::numeric_limits<pid_t>::max();
    entry.taken = longest;
    if (target.wants_cluster()) entry.cluster = longest_cluster_entry(target.request.cluster_name, plan.cluster->ns);
    if (target.files.empty()) stack.push_back(entry);
    entry.file = {longest, longest};
    for (const core::TargetFile& file : target.files) {
      entry.path = longest_path(file);
      stack.push_back(entry);
    }
  }
  return stack;
}

// An upper bound for the size of that stack's text, which is quick to find.
std::size_t longest_text(const Plan& plan) {
  std::size_t size = 0;
  for (const core::StackEntry& entry : plan.stack) {
    size += core::longest_entry(entry.path.size(), entry.cluster ? entry.cluster->name.size() : 0);
  }
  for (const core::Target& target : plan.targets) {
    const std::size_t name_size = target.wants_cluster() ? target.request.cluster_name.size() : 0;
    if (target.files.empty()) size += core::longest_entry(0, name_size);
    for (const core::TargetFile& file : target.files) size += core::longest_entry(longest_path_size(file), name_size);
  }
  return size;
}

}  // namespace

Result<void, Failure> refuse_long_stack(const Plan& plan) {
  if (plan.targets.empty() || longest_text(plan) < core::longest_stack_text) return {};
  if (core::to_text(longest_stack(plan)).size() <= core::longest_stack_text) return {};
  return usage_failure(
      fmt::format("{} locks are too many: {} could not hold them all", plan.targets.size(), core::stack_variable),
      "take fewer at a time, or the lock of the whole workspace: -t workspace-sync");
}

}  // namespace grex::cli
