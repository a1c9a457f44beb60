#include "core/inspect/file_report.hpp"

#include <array>
#include <cstddef>

namespace grex::core {

std::string_view name_of(LockState state) {
  constexpr std::array<std::string_view, 4> names = {"held", "free", "absent", "unknown"};
  return names.at(static_cast<std::size_t>(state));
}

std::string_view name_of(Evidence evidence) {
  constexpr std::array<std::string_view, 3> names = {"kernel", "probe", "none"};
  return names.at(static_cast<std::size_t>(evidence));
}

std::string_view name_of(RecordState state) {
  constexpr std::array<std::string_view, 3> names = {"valid", "stale", "none"};
  return names.at(static_cast<std::size_t>(state));
}

std::string_view name_of(Role role) {
  constexpr std::array<std::string_view, 3> names = {"acquirer", "fd-holder", "waiter"};
  return names.at(static_cast<std::size_t>(role));
}

}  // namespace grex::core
