#include "cli/report/cluster_failure.hpp"

#include <string.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/exit_code.hpp"
#include "core/cluster/cluster_locks.hpp"
#include "core/cluster/keeper_program.hpp"

namespace grex::cli {
namespace {

Failure failure_of(ErrorKind kind, std::string_view what, std::string path, std::string why, std::string hint = {}) {
  Failure failure;
  failure.kind = kind;
  failure.what = what;
  failure.path = std::move(path);
  failure.why = std::move(why);
  failure.hint = std::move(hint);
  failure.exit_code = exit_code_of(kind, 0);
  return failure;
}

Failure unusable(std::string path, std::string why, std::string hint = {}) {
  return failure_of(ErrorKind::cluster_config, "cluster not usable", std::move(path), std::move(why), std::move(hint));
}

// The keeper can't be started, or doesn't answer.
Failure keeper_failure(const Error& error, const std::string& url) {
  constexpr const char* both_packages = "install grex-lock and grex-lock-etcd of the same version";
  if (error.op == core::keeper_ended) return unusable({}, "grex-lock-etcd ended without an answer", both_packages);
  if (error.op == core::keeper_garbled) {
    return unusable({}, "grex-lock-etcd sent an answer that doesn't fit", both_packages);
  }
  if (error.op == core::keeper_silent) {
    return failure_of(ErrorKind::unreachable, "cluster unreachable", url, "grex-lock-etcd has not answered in time");
  }
  if (error.op == core::request_too_long) {
    return usage_failure("the locks and their records are too long for one request to the cluster",
                         "take fewer locks at a time, or shorten --note");
  }
  if (error.kind != ErrorKind::cluster_config && error.kind != ErrorKind::exec) return failure_from(error);
  if (error.op == core::libexec_variable) {
    const std::string variable = core::libexec_variable;
    if (error.err == EINVAL) return unusable(error.path, variable + " is not an absolute path");
    if (error.err == EPERM) return unusable(error.path, "other users can change it, and " + variable + " names it");
    if (error.err == ENOENT) return unusable(error.path, "not found, but " + variable + " names it");
  } else if (error.op == "readlink") {
    return unusable(error.path, "cannot be read, so grex-lock-etcd is not found beside grex-lock");
  } else if (error.err == ENOENT) {
    return unusable({}, "grex-lock-etcd is not installed", "install the package grex-lock-etcd, or use --cluster none");
  }
  const char* const description = ::strerrordesc_np(error.err);
  return unusable(error.path, description != nullptr ? description : "unknown error");
}

Failure reported_failure(const core::FailedReport& report, const std::string& url) {
  switch (report.kind) {
    case core::ClusterFault::unreachable:
      return failure_of(ErrorKind::unreachable, "cluster unreachable", url, report.why, report.hint);
    case core::ClusterFault::permission:
      return failure_of(ErrorKind::permission, "not allowed", url, report.why, report.hint);
    case core::ClusterFault::cluster_config:
      return unusable(url, report.why, report.hint);
    case core::ClusterFault::internal:
      break;
  }
  return failure_of(ErrorKind::internal, "internal error", url, report.why, report.hint);
}

}  // namespace

core::LockProcess process_in_cluster(const std::string& value) {
  core::LockProcess process;
  process.role = core::Role::acquirer;
  const auto parsed = core::parse_cluster_value(value);
  if (!parsed) return process;
  const core::Record& record = parsed->record;
  process.pid = record.writer.pid;
  process.host = record.writer.host;
  process.uid = record.uid;
  process.command = record.command;
  process.cwd = record.cwd;
  process.since = record.since;
  process.verb = record.verb;
  process.mode = parsed->mode;
  if (!record.note.empty()) process.note = record.note;
  return process;
}

Failure cluster_failure(const core::ClusterFailure& failure, const std::string& url) {
  const auto* const error = std::get_if<Error>(&failure);
  return error != nullptr ? keeper_failure(*error, url) : reported_failure(std::get<core::FailedReport>(failure), url);
}

std::vector<core::LockProcess> holders_in(const core::Queue& queue) {
  std::vector<core::LockProcess> holders;
  holders.reserve(queue.ahead.size());
  for (const std::string& value : queue.ahead) holders.push_back(process_in_cluster(value));
  return holders;
}

}  // namespace grex::cli
