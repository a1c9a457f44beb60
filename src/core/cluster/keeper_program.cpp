#include "core/cluster/keeper_program.hpp"

#include <stdlib.h>

#include <cerrno>
#include <string_view>

#include "base/text.hpp"
#include "sys/file/file.hpp"
#include "sys/file/owner.hpp"
#include "sys/file/safe_walk.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

constexpr std::string_view program_name = "grex-lock-etcd";

Error wrong(std::string_view op, std::string path, int err) {
  return {ErrorKind::cluster_config, op, std::move(path), err};
}

bool is_program(const std::string& path) {
  const auto status = sys::status_of(path);
  return status && status->type == sys::FileType::regular;
}

Result<std::string> find_in_libexec(const std::string& directory) {
  if (!directory.starts_with('/')) return wrong(libexec_variable, directory, EINVAL);
  if (const auto walked = sys::walk_where_only_we_write(directory); !walked) {
    const Error& error = walked.error();
    const bool others_write = error.op == sys::writable_step;
    return wrong(libexec_variable, others_write ? error.path : directory, others_write ? EPERM : error.err);
  }
  std::string path = path_in(directory, program_name);
  const auto status = sys::status_of(path);
  if (!status || status->type != sys::FileType::regular) return wrong(libexec_variable, std::move(path), ENOENT);
  constexpr unsigned others_may_write = 022;
  const bool is_ours = status->owner == sys::effective_uid() || !sys::is_other_user(status->owner);
  if (!is_ours || (status->permissions & others_may_write) != 0) return wrong(libexec_variable, std::move(path), EPERM);
  return path;
}

}  // namespace

Result<std::string> find_keeper_program() {
  const char* const libexec = sys::is_root() ? nullptr : ::getenv(libexec_variable);
  if (libexec != nullptr && *libexec != '\0') return find_in_libexec(libexec);
  const std::string own = sys::process_link(sys::own_process, "exe").value_or("");
  const std::string here = own.substr(0, own.rfind('/') + 1);
  if (here.empty()) return wrong("readlink", "/proc/self/exe", ENOENT);
  for (const std::string_view place : {"../libexec/grex-lock/", ""}) {
    std::string path = here + std::string(place) + std::string(program_name);
    if (is_program(path)) return path;
  }
  return wrong("open", std::string(program_name), ENOENT);
}

}  // namespace grex::core
