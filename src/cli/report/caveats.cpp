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
      return "the server keeps the locks, and may lose them; holders on other hosts are known by their records only";
    case core::LockCaveat::mandatory:
      return "others may be unable to read a file while it is locked, and so the record of its holder";
    case core::LockCaveat::host_only:
      return "locks keep out nobody on another host";
    case core::LockCaveat::unsure:
      return "locks may keep out only those who use the same mount";
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
