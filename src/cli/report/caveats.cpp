#include "cli/report/caveats.hpp"

#include <fmt/format.h>

#include "cli/report/output.hpp"
#include "sys/file/file.hpp"

namespace grex::cli {
namespace {

std::string_view consequence_of(core::LockCaveat caveat) {
  switch (caveat) {
    case core::LockCaveat::none:
      break;
    case core::LockCaveat::remote:
      return "the server may lose locks; holders on other hosts are known only by their records";
    case core::LockCaveat::mandatory:
      return "other processes may be unable to read a file while it is locked, and so its holder record";
    case core::LockCaveat::host_only:
      return "locks do not exclude other hosts";
    case core::LockCaveat::unsure:
      return "locks may exclude only processes that use the same mount";
  }
  return {};
}

}  // namespace

std::string caveat_line(const core::FileSystem& file_system) {
  const std::string_view consequence = consequence_of(file_system.caveat);
  if (consequence.empty()) return {};
  if (file_system.because.empty()) return fmt::format("on {}: {}", file_system.type, consequence);
  return fmt::format("on {} with {}: {}", file_system.type, file_system.because, consequence);
}

}  // namespace grex::cli
