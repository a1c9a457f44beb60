#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/args/cluster_options.hpp"
#include "cli/report/failure.hpp"
#include "core/cluster/cluster.hpp"
#include "core/inspect/report.hpp"

namespace grex::cli {

/// Reports on the locks of a cluster.
class ClusterStatus {
 public:
  using Name = std::pair<core::Tier, std::string>;

  /// Of the locks with this name; or of all that the cluster's root gives a name; or with
  /// `all`, of the whole namespace.
  ClusterStatus(ChosenCluster chosen, std::optional<std::string> name, bool all)
      : chosen_(std::move(chosen)), name_(std::move(name)), all_(all), cluster_(chosen_.settings) {}

  /// Whether it can report on anything: PATHs have names only below a root.
  [[nodiscard]] bool has_names() const { return name_ || all_ || !chosen_.root.empty(); }

  /// Whether it can report on nothing without them.
  [[nodiscard]] bool needs_paths() const { return !name_ && !all_; }

  /// Of these PATHs, the first that has no name, and with -r, no directory with one below it;
  /// nullopt if there is none, or if it needs no PATHs.
  [[nodiscard]] std::optional<Failure> find_unnamed(const std::vector<std::string>& paths, bool is_recursive) const;

  /// Why no lock is shown in the last report, if the cluster could not be asked, or keeps none, in
  /// lines for people; else empty.
  [[nodiscard]] const std::string& remark() const { return remark_; }

  /// The exit status if the cluster could not be asked in the last report; 0 if it could.
  [[nodiscard]] int exit_code() const { return exit_code_; }

  /// Those of the cluster that belong to these. One that no process has or wants there is free; or
  /// absent, if its files are.
  std::vector<core::LockReport> report_on(const std::vector<core::LockReport>& local);

 private:
  using Reports = std::map<Name, core::LockReport>;
  [[nodiscard]] Reports wanted(const std::vector<core::LockReport>& local) const;
  void take_failure(const Failure& failure, Reports& reports);
  void take_locks(const std::vector<core::ListedLock>& listed, Reports& reports);

  ChosenCluster chosen_;
  std::optional<std::string> name_;
  bool all_;
  core::Cluster cluster_;
  int exit_code_ = 0;
  std::string remark_;
};

}  // namespace grex::cli
