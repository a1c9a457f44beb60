#include "core/cluster/lock_name.hpp"

namespace grex::core {

Result<void, NameFault> check_lock_name(std::string_view name) {
  if (name.empty()) return NameFault::empty;
  if (name.size() > longest_lock_name) return NameFault::too_long;
  if (name.find('\0') != std::string_view::npos) return NameFault::has_nul;
  return {};
}

Result<std::string, NameFault> lock_name_of(std::string_view path, std::string_view root) {
  if (path == root) return std::string(".");
  if (!path.starts_with(root)) return NameFault::outside_root;
  std::string_view name = path.substr(root.size());
  if (!root.ends_with('/')) {
    if (!name.starts_with('/')) return NameFault::outside_root;
    name.remove_prefix(1);
  }
  if (const auto checked = check_lock_name(name); !checked) return checked.error();
  return std::string(name);
}

std::string_view explanation_of(NameFault fault) {
  switch (fault) {
    case NameFault::empty:
      return "a lock's name may not be empty";
    case NameFault::too_long:
      return "a lock's name has at most 512 bytes";
    case NameFault::has_nul:
      return "a lock's name may not contain a NUL";
    case NameFault::outside_root:
      break;
  }
  return "the path is outside the cluster root";
}

}  // namespace grex::core
