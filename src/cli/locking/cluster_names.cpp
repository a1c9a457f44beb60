#include "cli/locking/cluster_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "cli/report/printable.hpp"
#include "core/cluster/lock_name.hpp"

namespace grex::cli {
namespace {

// Slots without a limit are no lock.
bool is_lock(const core::Target& target) {
  return !target.request.is_guard && (target.files.empty() || !target.files.front().names.empty());
}

}  // namespace

Result<std::string, Failure> cluster_name_of(const std::string& path, const std::string& root) {
  if (root.empty()) {
    return usage_failure(fmt::format("{} has no name in the cluster", path),
                         "add --name NAME, or --cluster-root DIR for names relative to DIR; or use --cluster none");
  }
  auto name = core::lock_name_of(path, root);
  if (name) return std::move(*name);
  return usage_failure(
      fmt::format("{} has no name in the cluster: relative to {}, {}", path, root, core::explanation_of(name.error())),
      "name it with --name NAME, or use --cluster none");
}

Result<std::optional<core::ClusterSettings>, Failure> name_in_cluster(std::vector<core::Target>& targets,
                                                                      const LockOptions& options) {
  auto chosen = choose_cluster(options.cluster);
  if (!chosen) return std::move(chosen.error());
  if (!*chosen) return std::optional<core::ClusterSettings>();
  const std::string& root = (*chosen)->root;
  if (options.cluster.name && options.paths.size() > 1) {
    return usage_failure("--name names one lock, but there are several PATHs",
                         "use --cluster-root DIR for names relative to DIR");
  }
  if (!options.locks.empty() && root.empty()) {
    return usage_failure("--lock needs --cluster-root, which gives each lock its name in the cluster", {});
  }
  for (core::Target& target : targets) {
    if (!is_lock(target) || !target.request.cluster_name.empty()) continue;
    const auto is_named = [&](const std::string& path) { return path == target.request.path; };
    const bool is_path = std::any_of(options.paths.begin(), options.paths.end(), is_named);
    if (options.cluster.name && is_path && target.tier() == options.tier_of_paths()) {
      target.request.cluster_name = *options.cluster.name;
      continue;
    }
    auto name = cluster_name_of(target.path, root);
    if (!name) return std::move(name.error());
    target.request.cluster_name = std::move(*name);
  }
  return std::optional(std::move((*chosen)->settings));
}

}  // namespace grex::cli
