#include "core/lock/file_order.hpp"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

namespace grex::core {
namespace {

auto order_key_of(const OrderedFile& next, const std::vector<Target>& targets) {
  const Target& target = targets[next.at.target];
  const TargetFile& file = target.files[next.at.file];
  const std::string_view name = file.names.front();
  return std::tuple(ordinal_of(target.tier()), file.layout, next.directory.id.ino, next.directory.id.dev,
                    name.substr(name.rfind('/') + 1), target.mode());
}

}  // namespace

Result<std::vector<OrderedFile>> order_of(const std::vector<Target>& targets, FilePosition& at) {
  std::vector<OrderedFile> order;
  for (at.target = 0; at.target < targets.size(); ++at.target) {
    const Target& target = targets[at.target];
    for (at.file = 0; at.file < target.files.size(); ++at.file) {
      const TargetFile& file = target.files[at.file];
      if (file.names.empty()) continue;
      auto directory = sys::open_lock_directory(file.name_at(0));
      if (!directory) return directory.error();
      order.push_back({at, std::move(*directory)});
    }
  }
  std::sort(order.begin(), order.end(), [&targets](const OrderedFile& a, const OrderedFile& b) {
    return order_key_of(a, targets) < order_key_of(b, targets);
  });
  return order;
}

}  // namespace grex::core
